"""The published weights: what there is, what is here, fetching it ahead, checking it. No network is built."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tlkit.architectures.architecture import Architecture
from tlkit.architectures.registry.lookup import all_architectures, get_architecture
from tlkit.architectures.verify_weights import published_problem
from tlkit.config import BuildOptions
from tlkit.downloads.folders import weights_folder
from tlkit.downloads.locate import (
    UseFile,
    addresses,
    fetch,
    find_local,
    mirror,
    missing_package,
    places,
    warn_of_damaged,
)
from tlkit.downloads.weights_file import PackagedFile, PublishedWeights
from tlkit.errors import TlkitError, UsageError, WeightsError
from tlkit.utils.atomic_write import atomic_write
from tlkit.utils.logging import logger
from tlkit.utils.text import did_you_mean, pluralize, without_password


@dataclass(frozen=True)
class Published:
    """One weights file of the table.

    Attributes:
        architecture: Whose it is.
        weights: Which of its files.
    """

    architecture: Architecture
    weights: PublishedWeights

    @property
    def name(self) -> str:
        """The file's name."""
        return self.weights.file.name

    @property
    def top(self) -> str:
        """``yes`` with the ImageNet classifier, ``no`` without it, ``both`` where one file serves both."""
        if not self.weights.include_top:
            return "no"
        alone = self.weights.file == self.architecture.with_top and self.architecture.without_top is None
        return "both" if alone else "yes"

    @property
    def origin(self) -> str:
        """Where it would come from: ``package NAME``, or an address."""
        file = self.weights.file
        urls = addresses(file)
        return urls[0] if urls else f"package {file.distribution}"  # type: ignore[union-attr]

    def problem(self, path: Path) -> str | None:
        """What is wrong with a copy, looked at as `tlkit weights verify` does; None when nothing is."""
        return published_problem(self.architecture, self.weights.file, path, thorough=True)


@dataclass(frozen=True)
class Choice:
    """Which files of an architecture are meant.

    Attributes:
        top: With the ImageNet classifier, without it, or None for both.
        every: Those of all widths and sizes.
        alpha: Instead, those of this width; None for the usual one.
        size: Those for this input height and width; None for the usual one.
    """

    top: bool | None = None
    every: bool = False
    alpha: float | None = None
    size: int | None = None


EVERY = Choice(every=True)


def choose(architecture: Architecture, choice: Choice) -> list[Published]:
    """Of the files of an architecture, those that are meant. The one place where they are chosen.

    Raises:
        UsageError: It has no such width.
        WeightsError: No weights were published for that width or size.
    """
    top = choice.top
    row = architecture.configured(BuildOptions(alpha=choice.alpha, data_format="channels_last"))
    size = None if choice.size is None else (choice.size, choice.size)
    meant = [row.weights_file(include_top=with_top, size=size) for with_top in (True, False)]
    if size is not None and not row.is_trained_at(size):
        raise WeightsError(
            f"No weights of {row.name} were trained at {choice.size}x{choice.size} for this width.",
            hint=f"`tlkit weights list {row.name}` says what there is; at other sizes those of {row.size} are used.",
        )
    files = [weights for weights in architecture.published if choice.every or weights.file in meant]
    chosen = [Published(architecture, weights) for weights in files]
    return [one for one in chosen if top is None or one.top in ("both", "yes" if top else "no")]


def choose_all(names: Sequence[str], choice: Choice) -> list[Published]:
    """The files of several architectures, each once, in the order given; without names, those of the table.

    Raises:
        UsageError: No such architecture.
    """
    rows = [get_architecture(name) for name in names] if names else all_architectures()
    different = {row.name: row for row in rows}.values()
    return [one for row in different for one in choose(row, choice)]


@dataclass(frozen=True)
class Listed:
    """What `tlkit weights list` says of a file.

    Attributes:
        published: The file.
        path: The copy that would be used if it is good; None when there is none.
        bytes: Of that copy.
    """

    published: Published
    path: Path | None
    bytes: int | None


def list_weights(names: Sequence[str]) -> list[Listed]:
    """Every file, and whether it is here; nothing is read.

    Raises:
        UsageError: No such architecture.
    """
    found = []
    for published in choose_all(names, EVERY):
        path = next((path for path in places(published.weights.file) if path.is_file()), None)
        found.append(Listed(published, path, path.stat().st_size if path else None))
    return found


def find(name: str, choice: Choice) -> Path:
    """The path of a file that is here and good; nothing is fetched.

    Raises:
        UsageError: No such architecture.
        WeightsError: It is not here, or damaged; the hint says what would fetch it and where to put it.
    """
    (published,) = choose(get_architecture(name), choice)
    architecture, file = published.architecture.name, published.weights.file
    seen = find_local(file, published.problem)
    warn_of_damaged(seen)
    if isinstance(seen, UseFile):
        return seen.path
    if not seen.urls and isinstance(file, PackagedFile):
        raise missing_package(file, architecture, seen.damaged)
    said = [{"yes": "--top", "no": "--no-top", "both": ""}[published.top]]
    said += [f"--alpha {choice.alpha:g}"] if choice.alpha else []
    said += [f"--size {choice.size}"] if choice.size else []
    flag = "".join(f" {word}" for word in said if word)
    raise WeightsError(
        f"{file.name}, the weights of {architecture}, is not here{' undamaged' if seen.damaged else ''}.",
        hint=f"`tlkit weights pull {architecture}{flag}` fetches it from {without_password(seen.urls[0])}; "
        f"or put it into {weights_folder()}.",
    )


@dataclass(frozen=True)
class Pulled:
    """What became of a file that was to be fetched.

    Attributes:
        published: The file.
        status: ``fetched``, ``here`` or ``failed``.
        path: Where it is now.
        error: Why it failed.
    """

    published: Published
    status: str
    path: Path | None = None
    error: TlkitError | None = None


def pull(files: Iterable[Published]) -> Iterator[Pulled]:
    """Fetch files, one after the other; one that fails does not keep the others from coming.

    What only a shared folder has is copied from there: that may be gone tomorrow.
    """
    _, shared = mirror()
    for published in files:
        seen = find_local(published.weights.file, published.problem)
        try:
            if isinstance(seen, UseFile) and seen.path.parent == shared:
                yield Pulled(published, "fetched", _copied(seen.path, published))
                continue
            if isinstance(seen, UseFile):
                yield Pulled(published, "here", seen.path)
                continue
            name = published.architecture.name
            path = fetch(published.weights.file, seen, architecture=name, problem=published.problem)
            yield Pulled(published, "fetched", path)
        except WeightsError as error:
            yield Pulled(published, "failed", error=error)


def _copied(source: Path, published: Published) -> Path:
    """A good copy of a file in tlkit's own folder."""
    path = weights_folder() / published.name
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as part:
            shutil.copyfile(source, part)
            wrong = published.problem(part)
            if wrong:
                raise WeightsError(f"{source} changed while it was copied: {wrong}.")
    except OSError as error:
        raise WeightsError(
            f"Cannot copy {source} into {path.parent}: {error.strerror or error}.",
            hint="Name another folder with TLKIT_CACHE_DIR.",
        ) from error
    return path


@dataclass(frozen=True)
class Verified:
    """What was found out of one copy.

    Attributes:
        path: The copy.
        published: The file that it is, or should be; None when nothing tells.
        problem: What is wrong with it, or None.
    """

    path: Path
    published: Published | None
    problem: str | None

    @property
    def checks(self) -> list[str]:
        """What was compared: ``digest``, ``layers``."""
        if self.published is None:
            return []
        file = self.published.weights.file
        return [*(["digest"] if file.digest else []), *([] if isinstance(file, PackagedFile) else ["layers"])]


def verify(names: Sequence[str]) -> list[Verified]:
    """Check copies of published files: hashes where they are published, and layers.

    Args:
        names: Architectures, for every copy of their files on this machine; files and folders of files; nothing for
            every copy of every published file.

    Raises:
        UsageError: Neither an architecture nor a file.
    """
    copies = [copy for name in names for copy in _copies(name)] if names else list(_here(()))
    return [_verified(path, published) for path, published in dict(copies).items()]


def known_files() -> dict[str, Published]:
    """Every published file by its name."""
    return {one.name: one for one in choose_all((), EVERY)}


def _here(names: Sequence[str]) -> Iterator[tuple[Path, Published | None]]:
    seen: set[Path] = set()
    for published in choose_all(names, EVERY):
        for path in places(published.weights.file):
            if path.is_file() and path.resolve() not in seen:
                seen.add(path.resolve())
                yield path, published


def _copies(name: str) -> Iterator[tuple[Path, Published | None]]:
    path = Path(name)
    try:
        architecture = get_architecture(name)
    except UsageError as error:
        if path.is_dir():
            known = known_files()
            inside = [(file, known[file.name]) for file in sorted(path.iterdir()) if file.name in known]
            if not inside:
                raise WeightsError(f"The folder {path} holds no file with the name of a published one.") from None
            yield from inside
        elif path.exists():
            yield path, None
        elif path.suffix or len(path.parts) > 1:
            raise WeightsError(f"There is no file {name}.", hint=did_you_mean(path.name, known_files())) from None
        else:
            raise error
    else:
        found = list(_here((architecture.name,)))
        if not found:
            logger.warning("No weights of %s are here.", architecture.name)
        yield from found


def _verified(path: Path, published: Published | None) -> Verified:
    if published is None and path.is_file():
        published = known_files().get(path.name) or _by_digest(path)
    if not path.is_file():
        return Verified(path, published, "it is not a file")
    if published is None:
        return Verified(path, None, "no published file has its name or its digest")
    problem = partial(published_problem, published.architecture, published.weights.file)
    return Verified(path, published, problem(path, thorough=True))


def _by_digest(path: Path) -> Published | None:
    """The published file that these bytes are, whatever they are called."""
    from tlkit.utils.hashing import file_digest

    digests = {file_digest(path, algorithm) for algorithm in ("md5", "sha256")}
    return next((one for one in choose_all((), EVERY) if one.weights.file.digest in digests), None)


def counts(verified: Sequence[Verified]) -> str:
    """In words: ``3 files are good, 1 is not.``."""
    bad = sum(one.problem is not None for one in verified)
    good = len(verified) - bad
    said = f"{pluralize(good, 'file')} {'is' if good == 1 else 'are'} good"
    return f"{said}, {bad:,} {'is' if bad == 1 else 'are'} not." if bad else f"{said}."

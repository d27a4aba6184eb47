"""Select, list and verify published weights files. No network is built."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tlkit.architectures.architecture import Architecture
from tlkit.architectures.registry.lookup import all_architectures, get_architecture
from tlkit.architectures.verify_weights import published_problem
from tlkit.config import BuildOptions
from tlkit.downloads.locate import (
    LocalFile,
    candidate_paths,
    find_local,
    missing_package,
    urls,
    warn_of_damaged,
    warn_of_mirror,
    weights_folder,
)
from tlkit.downloads.weights_file import WeightsFile
from tlkit.errors import UsageError, WeightsError
from tlkit.utils.hashing import file_digest
from tlkit.utils.logging import logger
from tlkit.utils.text import did_you_mean, without_password


@dataclass(frozen=True)
class VariantFilter:
    """Selects weights files of an architecture.

    Attributes:
        top: With the ImageNet classifier, without it, or None for both.
        every: All widths and sizes.
        alpha: Instead, this width; None for the default.
        size: This input height and width; None for the default.
    """

    top: bool | None = None
    every: bool = False
    alpha: float | None = None
    size: int | None = None

    def __post_init__(self) -> None:
        if self.every and (self.alpha is not None or self.size is not None):
            raise UsageError("--all selects every width and size.", hint="Leave --alpha and --size out.")
        for option, value in (("--alpha", self.alpha), ("--size", self.size)):
            if value is not None and not 0 < value < float("inf"):
                raise UsageError(f"{option} {value:g} must be above 0.")


EVERY = VariantFilter(every=True)


@dataclass(frozen=True)
class FileStatus:
    """What was found out about a weights file, or done with it.

    Attributes:
        file: The published file; None for a copy of none.
        path: Its copy; None if there is none.
        status: ``present`` or ``missing`` from :func:`list_weights`, ``good`` or ``bad`` from :func:`verify`;
            ``present``, ``downloaded``, ``copied`` or ``failed`` from ``pull``, ``present``, ``installed`` or
            ``replaced`` from ``install`` of :mod:`tlkit.commands.weights_transfer`.
        problem: What is wrong with it, or why it failed; None if nothing is.
        hint: What the user can do about it.
    """

    file: WeightsFile | None
    path: Path | None
    status: str
    problem: str | None = None
    hint: str | None = None

    @property
    def bytes(self) -> int | None:
        """Size of the copy."""
        return self.path.stat().st_size if self.path and self.path.is_file() else None

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON of the ``tlkit weights`` commands."""
        file = self.file.to_dict() if self.file else dict.fromkeys(WeightsFile("").to_dict())
        if self.file and urls(self.file):
            file["source"] = without_password(urls(self.file)[0])
        path = None if self.path is None else str(self.path)
        return {**file, "path": path, "bytes": self.bytes, "status": self.status, "problem": self.problem}


def select(architecture: Architecture, chosen: VariantFilter) -> list[WeightsFile]:
    """Return the selected files of an architecture.

    Raises:
        UsageError: It has no such width.
        WeightsError: No weights were published for that width or size.
    """
    row = architecture.configured(BuildOptions(alpha=chosen.alpha, data_format="channels_last"))
    size = None if chosen.size is None else (chosen.size, chosen.size)
    files = [row.weights_file(include_top=with_top, size=size) for with_top in (True, False)]
    if size is not None and not row.is_trained_at(size):
        raise WeightsError(
            f"No weights of {row.name} were trained at {chosen.size}x{chosen.size} for this width.",
            hint=f"`tlkit weights list {row.name}` lists what there is; other sizes use those of {row.size}.",
        )
    tops = {None: ("yes", "no", "both"), True: ("yes", "both"), False: ("no", "both")}[chosen.top]
    return [file for file in architecture.published if (chosen.every or file in files) and file.top in tops]


def select_all(names: Sequence[str], chosen: VariantFilter) -> list[WeightsFile]:
    """Return the selected files of several architectures, in the order given; without names, of all.

    Raises:
        UsageError: No such architecture.
    """
    rows = [get_architecture(name) for name in names] if names else all_architectures()
    different = {row.name: row for row in rows}.values()
    return [file for row in different for file in select(row, chosen)]


def known_files() -> dict[str, WeightsFile]:
    """Return every published file by its name."""
    return {file.name: file for file in select_all((), EVERY)}


def list_weights(names: Sequence[str]) -> list[FileStatus]:
    """Return every file, and the copy that would be used if it is good; nothing is read.

    Raises:
        UsageError: No such architecture.
    """
    warn_of_mirror()
    found = []
    for file in select_all(names, EVERY):
        path = next(filter(os.path.isfile, candidate_paths(file)), None)
        found.append(FileStatus(file, path, "present" if path else "missing"))
    return found


def find(name: str, chosen: VariantFilter) -> Path:
    """Return the path of a good copy; nothing is downloaded.

    Raises:
        UsageError: No such architecture.
        WeightsError: There is none; the hint names the command that downloads it.
    """
    (file,) = select(get_architecture(name), chosen)
    found = find_local(file, thorough(file))
    warn_of_damaged(found)
    if isinstance(found, LocalFile):
        return found.path
    if not found.urls:
        raise missing_package(file, found)
    options = [{"yes": " --top", "no": " --no-top", "both": ""}[file.top]]
    options += [f" --alpha {chosen.alpha:g}"] if chosen.alpha else []
    options += [f" --size {chosen.size}"] if chosen.size else []
    raise WeightsError(
        f"There is no {'undamaged ' if found.damaged else ''}copy of {file.name}, the weights of {file.architecture}.",
        hint=f"`tlkit weights pull {file.architecture}{''.join(options)}` downloads it from "
        f"{without_password(found.urls[0])}; or put it into {weights_folder()}.",
    )


def thorough(file: WeightsFile) -> partial[str | None]:
    """Return the check of a copy that `tlkit weights verify` does."""
    return partial(published_problem, file, thorough=True)


def verify(names: Sequence[str]) -> list[FileStatus]:
    """Check copies of published files: digests where they were published, and layers.

    Args:
        names: Architectures, for all copies of their files on this machine; files and folders of files; nothing for
            all copies of all published files.

    Raises:
        UsageError: Neither an architecture nor a file.
    """
    copies = [copy for name in names for copy in _copies(name)] if names else list(_installed(()))
    return [_verify(path, file) for path, file in dict(copies).items()]


def _installed(names: Sequence[str]) -> Iterator[tuple[Path, WeightsFile | None]]:
    warn_of_mirror()
    seen: set[Path] = set()
    for file in select_all(names, EVERY):
        for path in filter(os.path.isfile, candidate_paths(file)):
            if path.resolve() not in seen:
                seen.add(path.resolve())
                yield path, file


def _copies(name: str) -> Iterator[tuple[Path, WeightsFile | None]]:
    path, known = Path(name), known_files()
    try:
        architecture = get_architecture(name)
    except UsageError as error:
        if path.is_dir():
            inside = [(file, known[file.name]) for file in sorted(path.iterdir()) if file.name in known]
            if not inside:
                raise WeightsError(f"The folder {path} holds no file with the name of a published one.") from None
            yield from inside
        elif path.exists():
            yield path, None
        elif path.suffix or len(path.parts) > 1:
            raise WeightsError(f"There is no file {name}.", hint=did_you_mean(path.name, known)) from None
        else:
            raise error
    else:
        found = list(_installed((architecture.name,)))
        if not found:
            logger.warning("No weights of %s are on this machine.", architecture.name)
        yield from found


def _verify(path: Path, file: WeightsFile | None) -> FileStatus:
    if not path.is_file():
        return FileStatus(file, path, "bad", "it is not a file")
    file = file or known_files().get(path.name) or _by_digest(path)
    problem = thorough(file)(path) if file else "no published file has its name or its digest"
    return FileStatus(file, path, "bad" if problem else "good", problem)


def _by_digest(path: Path) -> WeightsFile | None:
    """Return the published file with these bytes, whatever its name is."""
    digests = {file_digest(path, algorithm, read=True) for algorithm in ("md5", "sha256")}
    return next((file for file in known_files().values() if file.digest in digests), None)

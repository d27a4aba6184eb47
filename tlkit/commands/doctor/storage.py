"""Where tlkit stores what it computes and downloads: how much is there, and whether more can be."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

from tlkit.commands.archs import which_weights
from tlkit.commands.weights import FileStatus, known_files, list_weights
from tlkit.config import DEFAULT_ARCHITECTURE
from tlkit.downloads.locate import file_problem, keras_weights_folder, mirror, mirror_problem, weights_folder
from tlkit.errors import TlkitError
from tlkit.utils.cache_dir import KINDS, VERIFIED, cache_folder, cache_limit, entries
from tlkit.utils.text import without_secrets


@dataclass(frozen=True)
class Cache:
    """The cache.

    Attributes:
        folder: Where it is, or would be.
        bytes: How much of each kind is in it.
        limit: Bytes that features and converted networks may take together; None if it is not a size.
        free: Free bytes on its disk; None if the system does not tell.
        problem: Why it cannot be used; None if it can.
        hint: What to do about that, where it is known already.
    """

    folder: Path | None
    bytes: dict[str, int]
    limit: int | None
    free: int | None
    problem: str | None = None
    hint: str | None = None


@dataclass(frozen=True)
class Weights:
    """The published weights.

    Attributes:
        folders: Where they are looked for, beside packages and the mirror.
        mirror: ``TLKIT_WEIGHTS_MIRROR``, without its password.
        mirror_problem: What is wrong with it; None if nothing is.
        files: Those that are on this machine.
        architectures: Names of those that have some, and which: ``all``, ``without top``, ``3 of 32``.
        bundled_problem: What is wrong with those that tlkit is installed with; None if nothing is, or if their package
            is missing, which :mod:`tlkit.commands.doctor.packages` reports.
        bundled: The package that has them.
    """

    folders: tuple[Path, ...]
    mirror: str | None
    mirror_problem: str | None
    files: tuple[FileStatus, ...] = ()
    architectures: dict[str, str] = field(default_factory=dict)
    bundled_problem: str | None = None
    bundled: str = ""


@dataclass(frozen=True)
class Temporary:
    """The folder of temporary files.

    Attributes:
        folder: Where it is; None if there is none that can be written to.
        free: Free bytes on its disk.
    """

    folder: Path | None
    free: int | None


@dataclass(frozen=True)
class Storage:
    """All of it."""

    cache: Cache
    weights: Weights
    temporary: Temporary


def inspect_storage() -> Storage:
    """Return where things are stored; no weights file but that of the package is read, and nothing is downloaded."""
    cache = _inspect_cache()
    return Storage(cache, _inspect_weights(cache.folder is not None), _inspect_temporary())


def _inspect_weights(there_is_a_cache: bool) -> Weights:
    if not there_is_a_cache:
        return Weights((keras_weights_folder(),), _mirror(), mirror_problem())
    files: dict[str, list[FileStatus]] = {}
    for status in list_weights(()):
        assert status.file is not None
        files.setdefault(status.file.architecture, []).append(status)
    (bundled,) = files[DEFAULT_ARCHITECTURE]
    assert bundled.file is not None
    return Weights(
        (keras_weights_folder(), weights_folder()), _mirror(), mirror_problem(),
        files=tuple(status for found in files.values() for status in found if status.path),
        architectures={name: which for name, found in files.items() if (which := which_weights(found)) != "-"},
        bundled_problem=_bundled_problem(bundled), bundled=bundled.file.package or "",
    )  # fmt: skip


def _bundled_problem(status: FileStatus) -> str | None:
    assert status.file is not None
    assert status.file.package is not None
    if status.path is None:
        try:
            metadata.version(status.file.package)
        except metadata.PackageNotFoundError:
            return None
        return f"The weights of {DEFAULT_ARCHITECTURE} are missing: {status.file.resource} is not there"
    problem = file_problem(status.file, status.path)
    return problem and f"{status.path} is damaged: {problem}"


def _inspect_cache() -> Cache:
    try:
        folder = cache_folder()
    except TlkitError as error:
        return Cache(None, {}, None, None, error.message, error.hint)
    free = _free(folder)
    try:
        limit = cache_limit()
    except TlkitError as error:
        return Cache(folder, {}, None, free, error.message, error.hint)
    problem = next(filter(None, map(write_problem, [folder, *_subfolders(folder)])), None)
    try:
        sizes = dict.fromkeys(KINDS, 0)
        for entry in entries(known_files()):
            sizes[entry.kind] += entry.bytes
        verified = folder / VERIFIED
        sizes[VERIFIED] = sum(path.stat().st_size for path in verified.iterdir()) if verified.is_dir() else 0
    except OSError as error:
        return Cache(
            folder, {}, limit, free, problem or f"{error.filename or folder} cannot be read ({error.strerror})"
        )
    return Cache(folder, sizes, limit, free, problem)


def _subfolders(folder: Path) -> Iterable[Path]:
    """Return those that another user may have created, as with sudo."""
    return (folder / name for name in (*KINDS, VERIFIED) if os.path.lexists(folder / name))


def write_problem(folder: Path) -> str | None:
    """Return why nothing can be written into a folder, or into the one that it would be created in; None if it can.

    A file without a name is written there, and is gone.
    """
    folder = _existing(folder)
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(4096))
            file.flush()
    except OSError as error:
        return f"nothing can be written into {folder} ({error.strerror})"
    return None


def _existing(folder: Path) -> Path:
    """Return a folder, or the nearest above it that is there."""
    folder = Path(os.path.abspath(folder))
    while not os.path.lexists(folder) and folder != folder.parent:
        folder = folder.parent
    return folder


def _free(folder: Path) -> int | None:
    try:
        disk = shutil.disk_usage(_existing(folder))
    except OSError:
        return None
    return disk.free if disk.total else None  # file systems such as /proc have no space at all


def _mirror() -> str | None:
    url, folder = mirror()
    return without_secrets(url) if url else None if folder is None else str(folder)


def _inspect_temporary() -> Temporary:
    try:
        folder = Path(tempfile.gettempdir())
    except FileNotFoundError:
        return Temporary(None, None)
    return Temporary(folder, _free(folder))

"""Archives of labelled images (zip, tar), unpacked into the cache and nowhere else.

An archive is somebody's: what leads out of its folder, links, and more than can be meant are refused before a byte is
written.
"""

from __future__ import annotations

import gzip
import json
import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from tlkit.data.discovery import is_hidden
from tlkit.errors import DataError
from tlkit.utils.atomic_write import atomic_write
from tlkit.utils.cache_dir import LOCK, cache_folder, create_folder, touch
from tlkit.utils.hashing import file_digest
from tlkit.utils.interrupt import raise_if_interrupted
from tlkit.utils.locks import locked
from tlkit.utils.logging import logger, progress_bar
from tlkit.utils.text import format_bytes

ENDINGS = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
"""Ends of names of archives."""
MOST_FILES = 2_000_000
"""Files that an archive may hold."""
_RECORD, _CONTENT = "archive.json", "content"
_CHUNK = 1 << 20
_DAMAGED = (
    gzip.BadGzipFile,
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,
)


def is_archive(path: str) -> bool:
    """Return True for a file whose name ends as that of an archive."""
    return path.lower().endswith(ENDINGS) and Path(path).is_file()


@dataclass(frozen=True)
class _Member:
    """A file in an archive: its path there, its size in bytes, and what opens it."""

    name: str
    size: int
    source: Any


def unpack(path: str) -> Path:
    """Unpack an archive into the cache, unless it is there, and return the folder of its files.

    Args:
        path: The archive. It is known by its bytes, wherever it lies.

    Raises:
        DataError: It cannot be read, is damaged or encrypted; a member leads out of it, is a link or no file; or it
            holds more files, or more bytes, than there is room for.
    """
    try:
        folder = cache_folder() / "archives" / file_digest(Path(path)).removeprefix("sha256:")[:32]
        create_folder(folder)
        with locked(folder / LOCK):
            if not (folder / _RECORD).is_file():
                logger.info("Unpacking %s into the cache.", path)
                _unpack(path, folder)
        touch(folder)
    except _DAMAGED as error:
        raise DataError(f"{path} is damaged, or no archive: {error}.", hint="Fetch it again.") from error
    except OSError as error:
        raise DataError(f"Cannot unpack {path}: {error.strerror or error}.") from error
    return folder / _CONTENT


def _unpack(path: str, folder: Path) -> None:
    content = folder / _CONTENT
    shutil.rmtree(content, ignore_errors=True)  # of a process that was killed
    content.mkdir()
    try:
        with _open(path) as archive:
            members = list(_members(path, archive))
            total = sum(member.size for member in members)
            room = shutil.disk_usage(folder).free // 2
            if total > room:
                raise DataError(
                    f"{path} holds {format_bytes(total)}, more than half of the free disk ({format_bytes(room)}).",
                    hint="Free some, or set TLKIT_CACHE_DIR to a folder on another disk.",
                )
            with progress_bar(total=len(members), unit="file", description="unpacking") as bar:
                for member in members:
                    raise_if_interrupted()
                    _write(path, archive, member, content / member.name)
                    bar.update(1)
    except BaseException:
        shutil.rmtree(content, ignore_errors=True)
        raise
    with atomic_write(folder / _RECORD) as part:
        record = {"name": Path(path).name, "files": len(members), "bytes": total}
        part.write_text(json.dumps(record) + "\n", "utf-8")


def _open(path: str) -> zipfile.ZipFile | tarfile.TarFile:
    return zipfile.ZipFile(path) if path.lower().endswith(".zip") else tarfile.open(path)


def _members(path: str, archive: zipfile.ZipFile | tarfile.TarFile) -> Iterator[_Member]:
    """Yield the files of an archive, after checking every member."""
    every = archive.infolist() if isinstance(archive, zipfile.ZipFile) else archive
    member: Any
    for number, member in enumerate(every, start=1):
        raise_if_interrupted()
        if number > MOST_FILES:
            raise DataError(
                f"{path} holds more than {MOST_FILES:,} files.", hint="Unpack it yourself and name the folder."
            )
        if isinstance(member, zipfile.ZipInfo):
            name, size, kind = member.filename, member.file_size, member.external_attr >> 16
            is_folder, is_link = member.is_dir(), stat.S_ISLNK(kind)
            is_file = stat.S_IFMT(kind) in (0, stat.S_IFREG)
            if member.flag_bits & 1:
                raise DataError(f"{path} is encrypted ({name}).", hint="Unpack it yourself and name the folder.")
        else:
            name, size = member.name, member.size
            is_folder, is_link, is_file = member.isdir(), member.issym() or member.islnk(), member.isfile()
        parts = PurePosixPath(name.replace("\\", "/")).parts
        if is_folder and not parts:  # "./", of the folder that was packed
            continue
        if not parts or parts[0].startswith("/") or ".." in parts or ":" in parts[0] or "\0" in name:
            raise DataError(f"{path} is not unpacked: {name!r} leads out of its folder.")
        if is_link or not (is_folder or is_file):
            raise DataError(f"{path} is not unpacked: {name!r} is {'a link' if is_link else 'no file'}.")
        if not is_folder and not any(map(is_hidden, parts)):
            yield _Member("/".join(parts), size, member)


def _write(path: str, archive: zipfile.ZipFile | tarfile.TarFile, member: _Member, target: Path) -> None:
    """Write one file; no more bytes than the archive says it has."""
    target.parent.mkdir(parents=True, exist_ok=True)
    source: IO[bytes] | None
    if isinstance(archive, zipfile.ZipFile):
        source = archive.open(member.source)
    else:
        source = archive.extractfile(member.source)
    if source is None:
        raise DataError(f"{path} is not unpacked: {member.name!r} is no file.")
    left = member.size
    with source, target.open("wb") as file:
        while chunk := source.read(min(_CHUNK, left + 1)):
            left -= len(chunk)
            if left < 0:
                raise DataError(f"{path} is not unpacked: {member.name!r} is larger than it says.")
            file.write(chunk)

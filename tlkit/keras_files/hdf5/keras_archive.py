"""The HDF5 file inside a ``.keras`` archive, and the JSON beside it."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import h5py

from tlkit.errors import WeightsError
from tlkit.keras_files.foreign import foreign_error
from tlkit.keras_files.model_config import ARCHIVE_CONFIG, ARCHIVE_METADATA, parse_json

ARCHIVE_WEIGHTS = "model.weights.h5"
MAX_JSON = 64 * 2**20
"""Bytes of a model's configuration; the largest of Keras's own has 2 MB."""
MAX_UNPACKED = 4 * 2**30
"""Bytes of compressed weights that are unpacked into memory."""


@contextmanager
def open_archive(path: Path) -> Iterator[tuple[h5py.File, dict[str, Any]]]:
    """Open the weights of an archive, and parse its JSON texts.

    Raises:
        WeightsError: It is damaged, or no archive of a model.
    """
    with _damage_in_one_line(path), zipfile.ZipFile(path) as archive, _opened(path, archive) as found:
        yield found


def compare_crc(path: Path) -> None:
    """Read every member of an archive, and compare its bytes with its CRC-32.

    HDF5 has no checksum of its own for most values: without this a flipped bit is another number.

    Raises:
        WeightsError: A member is damaged, or the archive is.
    """
    with _damage_in_one_line(path), zipfile.ZipFile(path) as archive:
        unpacked = sum(info.file_size for info in archive.infolist() if info.compress_type != zipfile.ZIP_STORED)
        if unpacked > MAX_UNPACKED:
            raise WeightsError(f"{path} unpacks to {unpacked:,} bytes; too many.")
        damaged = archive.testzip()
    if damaged is not None:
        raise WeightsError(
            f"{path} is damaged: the bytes of {damaged} do not match their CRC-32.", hint="Copy or download it again."
        )


@contextmanager
def _damage_in_one_line(path: Path) -> Iterator[None]:
    try:
        yield
    except zipfile.BadZipFile as error:
        cut = "File is not a zip file" in str(error)  # the end is missing: the start was checked before
        reason = "it is cut short" if cut else str(error)
        raise WeightsError(f"{path} is a damaged archive: {reason}.") from error
    except (zlib.error, EOFError, struct.error, NotImplementedError) as error:
        raise WeightsError(f"{path} is a damaged archive: {error}.") from error


@contextmanager
def _opened(path: Path, archive: zipfile.ZipFile) -> Iterator[tuple[h5py.File, dict[str, Any]]]:
    members = {info.filename: info for info in archive.infolist()}
    if ARCHIVE_CONFIG not in members or ARCHIVE_WEIGHTS not in members:
        raise foreign_error(path)
    from tlkit.keras_files.verify import check_crc  # which calls compare_crc

    check_crc(path)
    texts = {}
    for name in (ARCHIVE_CONFIG, ARCHIVE_METADATA):
        if name in members:
            if members[name].file_size > MAX_JSON:
                raise WeightsError(f"{name} in {path} has {members[name].file_size:,} bytes; too many.")
            with archive.open(name) as member:
                texts[name] = parse_json(member.read(MAX_JSON), f"{name} in {path}")
    info = members[ARCHIVE_WEIGHTS]
    with path.open("rb") as raw:
        if info.compress_type == zipfile.ZIP_STORED:
            with archive.open(info) as member:  # reads and checks the member's own header
                member.read(1)
            raw.seek(info.header_offset + 26)
            name_length, extra_length = (int.from_bytes(raw.read(2), "little") for _ in range(2))
            start = info.header_offset + 30 + name_length + extra_length
            source: Any = _InPlace(_Window(raw, start, info.file_size), 2**16)
        else:
            if info.file_size > MAX_UNPACKED:
                raise WeightsError(f"{path} unpacks to {info.file_size:,} bytes; too many.")
            with archive.open(info) as member:
                source = _Unpacked(member.read(info.file_size))
        source.archive = path
        with h5py.File(source, "r") as file:
            yield file, texts


class _Named:
    """A file object that errors about its content name by its archive: h5py's name of one is its ``repr``, in ASCII."""

    archive: Path

    def __repr__(self) -> str:
        return str(self.archive).encode("ascii", "backslashreplace").decode()


class _InPlace(_Named, io.BufferedReader):
    pass


class _Unpacked(_Named, io.BytesIO):
    pass


class _Window(io.RawIOBase):
    """A range of a file as a file of its own: an uncompressed member of a zip is read in place."""

    def __init__(self, file: BinaryIO, start: int, length: int) -> None:
        self._file, self._start, self._length, self._at = file, start, length, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._length}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        count = max(0, min(len(view), self._length - self._at))
        self._file.seek(self._start + self._at)
        data = self._file.read(count)
        view[: len(data)] = data
        self._at += len(data)
        return len(data)

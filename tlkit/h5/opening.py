"""Open a file that holds HDF5: itself, or inside the zip of a ``.keras`` model."""

from __future__ import annotations

import io
import json
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import h5py

from tlkit.errors import WeightsError
from tlkit.h5.structure import is_archive, structure_problem
from tlkit.text import printable

ARCHIVE_CONFIG, ARCHIVE_METADATA, ARCHIVE_WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
MAX_JSON = 64 * 2**20
"""Bytes of a model's configuration; the largest of Keras's own has 2 MB."""
MAX_UNPACKED = 4 * 2**30
"""Bytes of compressed weights that are unpacked into memory."""


@dataclass(frozen=True)
class OpenFile:
    """An open file.

    Attributes:
        path: Where it is.
        root: The HDF5 file, or the one inside the archive.
        archive: The JSON texts of a ``.keras`` archive by name; None for a plain HDF5 file.
    """

    path: Path
    root: h5py.File
    archive: dict[str, Any] | None = None


class _Window(io.RawIOBase):
    """A stretch of a file as a file of its own: a stored member of a zip is read where it lies."""

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
        wanted = max(0, min(len(view), self._length - self._at))
        self._file.seek(self._start + self._at)
        data = self._file.read(wanted)
        view[: len(data)] = data
        self._at += len(data)
        return len(data)


@contextmanager
def open_file(path: Path) -> Iterator[OpenFile]:
    """Open an HDF5 file or a ``.keras`` archive to read; whatever HDF5 says of damage names the file.

    Raises:
        WeightsError: It is neither, or it is damaged.
    """
    try:
        if is_archive(path):
            with zipfile.ZipFile(path) as archive, _archived(path, archive) as opened:
                yield opened
        else:
            wrong = structure_problem(path)
            if wrong:
                raise WeightsError(f"{printable(path)} cannot be read: {wrong}.")
            with h5py.File(path, "r") as file:
                yield OpenFile(path, file)
    except (zipfile.BadZipFile, zlib.error, EOFError, struct.error, NotImplementedError) as error:
        raise WeightsError(f"{printable(path)} is a damaged archive: {printable(error)}.") from error
    except FileNotFoundError as error:
        raise WeightsError(f"There is no file {printable(path)}.") from error
    except (IsADirectoryError, PermissionError) as error:
        raise WeightsError(f"{printable(path)} cannot be read: {error.strerror}.") from error
    except (OSError, KeyError, ValueError, TypeError, RuntimeError, RecursionError, MemoryError,
            OverflowError) as error:  # fmt: skip
        lines = str(error).strip().splitlines()
        raise WeightsError(
            f"{printable(path)} is damaged: {printable(lines[0] if lines else type(error).__name__)}."
        ) from error


@contextmanager
def _archived(path: Path, archive: zipfile.ZipFile) -> Iterator[OpenFile]:
    members = {info.filename: info for info in archive.infolist()}
    if ARCHIVE_CONFIG not in members or ARCHIVE_WEIGHTS not in members:
        sharded = any(name.startswith("model") and name.endswith(".weights.json") for name in members)
        raise WeightsError(
            f"{printable(path)} is a zip archive without {ARCHIVE_WEIGHTS} and {ARCHIVE_CONFIG}: "
            + ("its weights are split over several files." if sharded else "not a .keras model."),
            hint="Save it with Keras as one file, then try again." if sharded else None,
        )
    texts = {}
    for name in (ARCHIVE_CONFIG, ARCHIVE_METADATA):
        if name in members:
            if members[name].file_size > MAX_JSON:
                raise WeightsError(f"{name} in {printable(path)} has {members[name].file_size:,} bytes; too many.")
            with archive.open(name) as member:
                texts[name] = parse_json(member.read(MAX_JSON), f"{name} in {printable(path)}")
    info = members[ARCHIVE_WEIGHTS]
    with path.open("rb") as raw:
        if info.compress_type == zipfile.ZIP_STORED:
            with archive.open(info) as member:  # reads and checks the member's own header
                member.read(1)
            raw.seek(info.header_offset + 26)
            name_length, extra_length = (int.from_bytes(raw.read(2), "little") for _ in range(2))
            start = info.header_offset + 30 + name_length + extra_length
            source: Any = io.BufferedReader(_Window(raw, start, info.file_size), 2**16)
        else:
            if info.file_size > MAX_UNPACKED:
                raise WeightsError(f"{printable(path)} unpacks to {info.file_size:,} bytes; too many.")
            with archive.open(info) as member:
                source = io.BytesIO(member.read(info.file_size))
        with h5py.File(source, "r") as file:
            yield OpenFile(path, file, texts)


def parse_json(text: str | bytes, what: str) -> Any:
    """JSON from a file.

    Raises:
        WeightsError: It is none.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{what} is not JSON: {printable(str(error) or type(error).__name__)}.") from error

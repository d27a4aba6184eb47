"""Feature vectors keyed by the digest of their image: append-only, and intact whatever ends the writer.

A folder holds ``provenance.json``, ``rows-0.bin`` (one file per output, float32, nothing but rows) and ``index.bin``:
for each row the SHA-256 of the image bytes and one checksum per output. A row counts once its index record is
complete; what was being written when a process died is truncated.
"""

from __future__ import annotations

import errno
import json
import math
import os
import shutil
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from tlkit.errors import FeatureError
from tlkit.inference.provenance import Provenance
from tlkit.utils.atomic_write import atomic_write
from tlkit.utils.cache_dir import OWN_FILES
from tlkit.utils.positioned import read_at, write_at
from tlkit.utils.text import join_truncated

PROVENANCE, INDEX = "provenance.json", "index.bin"
DIGEST_BYTES = 32
_SYNC_SECONDS = 5.0
_READ_BYTES = 2**25
"""Read at a time; the system gives no more than 2 GiB at once."""
_VERIFIED = 256
"""Rows at the end that are compared with their checksums when a store is opened."""


class FeatureStore:
    """The feature vectors of one provenance.

    Only one process may append (:func:`tlkit.utils.locks.locked`); others may read the rows that existed when they
    opened it.

    Args:
        folder: Where it is.
        provenance: What decides the numbers; a store of another provenance is refused.

    Raises:
        FeatureError: It has another provenance, or is damaged.
    """

    def __init__(self, folder: Path, provenance: Provenance) -> None:
        self.folder = folder
        self.provenance = provenance
        self.shapes: tuple[tuple[int, ...], ...] | None = None
        self.rows: dict[bytes, int] = {}
        self._files: list[Any] = []
        self._index: Any = None
        self._checks, self._count = np.empty((0, 0), "<u4"), 0
        self._open = ExitStack()
        self._synced = time.monotonic()
        if (folder / PROVENANCE).is_file():
            self._read()

    def __enter__(self) -> FeatureStore:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the files."""
        self._open.close()

    def _read(self) -> None:
        try:
            content = json.loads((self.folder / PROVENANCE).read_text("utf-8"))
            shapes = tuple(tuple(int(side) for side in shape) for shape in content["shapes"])
            if Provenance(**content["provenance"]).diff(self.provenance):
                raise FeatureError(f"{self.folder} holds other features.")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise FeatureError(f"{self.folder} is damaged: {error}.", hint="Remove it.") from error
        self._begin(shapes)
        record = self._record
        records = np.frombuffer((self.folder / INDEX).read_bytes()[: self._whole_rows() * record.itemsize], record)
        self._checks = records["checks"].copy()
        good = self._first_bad(max(0, len(records) - _VERIFIED), len(records))
        self._count = good
        self.rows = {digest.tobytes(): row for row, digest in enumerate(records["digest"][:good])}

    def _begin(self, shapes: Sequence[tuple[int, ...]]) -> None:
        self.shapes = tuple(shapes)
        self._checks = np.empty((0, len(shapes)), "<u4")
        self._files = [
            self._open.enter_context(_open(self.folder / f"rows-{number}.bin")) for number in range(len(shapes))
        ]
        self._index = self._open.enter_context(_open(self.folder / INDEX))

    @property
    def row_bytes(self) -> list[int]:
        """Size of one row of each output, in bytes."""
        return [4 * math.prod(shape) for shape in self.shapes or ()]

    @property
    def _record(self) -> np.dtype[Any]:
        return np.dtype([("digest", f"V{DIGEST_BYTES}"), ("checks", "<u4", (len(self._files),))])

    def _whole_rows(self) -> int:
        sizes = [
            os.fstat(file.fileno()).st_size // size for file, size in zip(self._files, self.row_bytes, strict=True)
        ]
        return min([os.fstat(self._index.fileno()).st_size // self._record.itemsize, *sizes])

    def _first_bad(self, start: int, stop: int) -> int:
        for row in range(start, stop):
            if any(
                zlib.crc32(self._block(number, row, 1)) != self._checks[row, number]
                for number in range(len(self._files))
            ):
                return row
        return stop

    def _block(self, number: int, row: int, count: int) -> bytes:
        size = self.row_bytes[number]
        return read_at(self._files[number].fileno(), size * count, size * row)

    def append(self, digests: Sequence[bytes], outputs: Sequence[np.ndarray]) -> None:
        """Add rows; existing ones are left as they are.

        Args:
            digests: Keys of the rows.
            outputs: One ``(len(digests), …)`` float32 array per output.

        Raises:
            FeatureError: They cannot be written; earlier rows stay.
        """
        try:
            if self.shapes is None:
                self.folder.mkdir(parents=True, exist_ok=True)
                shapes = [output.shape[1:] for output in outputs]
                with atomic_write(self.folder / PROVENANCE) as part:
                    content = {"provenance": self.provenance.to_dict(), "shapes": [list(shape) for shape in shapes]}
                    part.write_text(json.dumps(content, indent=2) + "\n", "utf-8")
                self._begin(shapes)
            new = {digest: number for number, digest in enumerate(digests) if digest not in self.rows}
            if not new:
                return
            chosen = list(new.values())
            arrays = [np.ascontiguousarray(output[chosen], "<f4") for output in outputs]
            count = self._count
            checks = np.array(
                [[zlib.crc32(array[row].tobytes()) for array in arrays] for row in range(len(chosen))], "<u4"
            )
            records = np.empty(len(chosen), self._record)
            records["checks"] = checks
            for number, digest in enumerate(new):
                records["digest"][number] = np.void(digest)
            # rows first: an index record promises that they are complete
            for file, array, size in zip(self._files, arrays, self.row_bytes, strict=True):
                _write(file, array.tobytes(), size * count)
            if time.monotonic() - self._synced > _SYNC_SECONDS:
                self.sync()
            _write(self._index, records.tobytes(), self._record.itemsize * count)
        except OSError as error:
            raise self._not_written(error) from error
        self._remember(checks)
        self.rows.update({digest: count + number for number, digest in enumerate(new)})

    def _remember(self, checks: np.ndarray) -> None:
        """Add checksums; there is room for as many again, so that a row costs the same however many there are."""
        stop = self._count + len(checks)
        if stop > len(self._checks):
            larger = np.empty((2 * stop, checks.shape[1]), "<u4")
            larger[: self._count] = self._checks[: self._count]
            self._checks = larger
        self._checks[self._count : stop] = checks
        self._count = stop

    def _not_written(self, error: OSError) -> FeatureError:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return FeatureError(
                f"No space is left to write features in {self.folder}.",
                hint="Free some space and run the same command again: it resumes after the rows that are written."
                if self.rows
                else "Free some space and run the same command again.",
            )
        return FeatureError(f"Cannot write features in {self.folder}: {error.strerror}.")

    def sync(self) -> None:
        """Flush appended rows to disk."""
        for file in (*self._files, *([self._index] if self._index else ())):
            os.fsync(file.fileno())
        self._synced = time.monotonic()

    def read(self, rows: np.ndarray, output: int = 0) -> np.ndarray:
        """Read rows by number.

        Args:
            rows: Numbers, in any order.
            output: Which output.

        Returns:
            ``(len(rows), …)`` float32.

        Raises:
            FeatureError: A row does not pass its checksum.
        """
        assert self.shapes is not None
        found = np.empty((len(rows), *self.shapes[output]), np.float32)
        flat = found.reshape(len(rows), -1)
        for start, stop in adjacent(rows, self.row_bytes[output]):
            data = self._block(output, int(rows[start]), stop - start)
            if len(data) != flat[start:stop].nbytes:
                raise self._damaged()
            flat[start:stop] = np.frombuffer(data, "<f4").reshape(stop - start, -1)
        if any(zlib.crc32(flat[number].tobytes()) != self._checks[row, output] for number, row in enumerate(rows)):
            raise self._damaged()
        return found

    def read_outputs(self, rows: np.ndarray) -> tuple[np.ndarray, ...]:
        """Read rows of every output by number; see :meth:`read`."""
        return tuple(self.read(rows, output) for output in range(len(self.shapes or ())))

    def checks(self, rows: np.ndarray, output: int = 0) -> np.ndarray:
        """Return the CRC-32 of rows by number, ``(len(rows),)`` uint32."""
        return np.asarray(self._checks[rows, output], np.uint32)

    def _damaged(self) -> FeatureError:
        return FeatureError(
            f"The features in {self.folder} are damaged.",
            hint="Remove the folder; they will be recomputed.",
        )

    def blocks(self, rows: np.ndarray, output: int = 0) -> Iterator[np.ndarray]:
        """Yield rows by number, some megabytes at a time."""
        step = max(1, 2**23 // max(1, self.row_bytes[output]))
        for start in range(0, len(rows), step):
            yield self.read(rows[start : start + step], output)


def adjacent(rows: np.ndarray, row_bytes: int) -> Iterator[tuple[int, int]]:
    """Yield where runs of adjacent numbers begin and end among numbers of rows, 32 MB at most."""
    most = max(1, _READ_BYTES // max(1, row_bytes))
    ends = (np.flatnonzero(np.diff(rows) != 1) + 1).tolist()
    for first, last in pairwise([0, *ends, len(rows)]):
        for start in range(first, last, most):
            yield start, min(start + most, last)


def open_store(folder: Path, provenance: Provenance) -> FeatureStore:
    """Open the store in a folder; one that is damaged or has another provenance is removed first.

    Raises:
        FeatureError: The folder holds something other than a store.
    """
    foreign = [path.name for path in folder.iterdir() if not OWN_FILES.fullmatch(path.name)] if folder.is_dir() else []
    if foreign:
        raise FeatureError(
            f"{folder} is in the way: it holds {join_truncated(foreign)}, which tlkit did not write.",
            hint="Move it elsewhere, or choose another output.",
        )
    try:
        return FeatureStore(folder, provenance)
    except FeatureError:
        shutil.rmtree(folder)
        return FeatureStore(folder, provenance)


def can_resume(folder: Path, provenance: Provenance) -> bool:
    """Return True when a folder holds rows of this provenance, left by an interrupted command."""
    try:
        with FeatureStore(folder, provenance) as store:
            return bool(store.rows)
    except (FeatureError, OSError):
        return False


def _open(path: Path) -> Any:
    """Open a file for reading and writing at any offset; for reading alone where writing is not allowed."""
    with suppress(PermissionError):
        path.touch()
        return path.open("r+b", buffering=0)
    return path.open("rb", buffering=0)


def _write(file: Any, data: bytes, at: int) -> None:
    """Write all of ``data`` at an offset and truncate after it."""
    view = memoryview(data)
    os.ftruncate(file.fileno(), at)
    while view:
        written = write_at(file.fileno(), view, at)
        view, at = view[written:], at + written

"""Rows of numbers that may be too many for memory: read block by block, and held in a temporary file."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from tlkit.errors import FeatureError
from tlkit.utils.cache_dir import cache_folder, create_folder
from tlkit.utils.logging import logger
from tlkit.utils.text import format_bytes

IN_MEMORY_BYTES = 2**28
"""Rows that are held in memory; more of them go to a temporary file."""
_BLOCK_BYTES = 2**24


class Rows(Protocol):
    """Rows that are read as they are asked for: an array, or what is indexed like one."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of all of them."""
        ...

    def __getitem__(self, rows: Any, /) -> Any:
        """Return the rows of a slice, or of an array of numbers, as an array."""
        ...


def blocks(rows: Rows, beside: int = 0) -> Iterator[slice]:
    """Yield slices of some megabytes that cover all rows.

    Args:
        rows: The rows, of 4 bytes a number.
        beside: Numbers that are computed for each row.
    """
    count, *shape = rows.shape
    step = max(1, _BLOCK_BYTES // (4 * (math.prod(shape) + beside)))
    return (slice(start, min(start + step, count)) for start in range(0, count, step))


def hold(parts: Iterable[np.ndarray], shape: tuple[int, ...]) -> Rows:
    """Hold rows that will be read many times, in memory or, beyond :data:`IN_MEMORY_BYTES`, in a temporary file.

    Args:
        parts: The rows in order, ``(rows, …)`` float32.
        shape: Of all of them.

    Raises:
        FeatureError: There is no space for the file.
    """
    size = 4 * math.prod(shape)
    if size <= IN_MEMORY_BYTES:
        held, start = np.empty(shape, np.float32), 0
        for part in parts:
            held[start : start + len(part)] = part
            start += len(part)
        return held
    file, folder = _temporary()
    logger.info(
        "Copying %s of features to a temporary file in %s: they are read many times.", format_bytes(size), folder
    )
    for part in parts:
        try:
            file.write(np.ascontiguousarray(part, np.float32))
            file.flush()
        except OSError as error:
            raise FeatureError(
                f"Cannot write {format_bytes(size)} of features to a temporary file in {folder}: {error.strerror}.",
                hint="Free some space there, or set TLKIT_CACHE_DIR to a folder on a larger disk.",
            ) from error
    return _FileRows(file, shape)


class _FileRows:
    """Float32 rows in a file, of which no more is mapped than is read."""

    def __init__(self, file: Any, shape: tuple[int, ...]) -> None:
        self._file, self.shape = file, shape

    def __getitem__(self, rows: Any, /) -> np.ndarray:
        if not isinstance(rows, slice):
            return np.asarray(np.memmap(self._file, np.float32, "r", shape=self.shape)[rows])
        start, stop, _ = rows.indices(self.shape[0])
        shape = (max(0, stop - start), *self.shape[1:])
        return np.asarray(np.memmap(self._file, np.float32, "r", 4 * start * math.prod(self.shape[1:]), shape))


def _temporary() -> tuple[Any, Path]:
    """Return a file without a name where features are cached, or where temporary files are, and the folder."""
    folder = cache_folder()
    try:
        create_folder(folder)
        return tempfile.TemporaryFile(dir=folder), folder
    except OSError:
        return tempfile.TemporaryFile(), Path(tempfile.gettempdir())

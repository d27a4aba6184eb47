"""Read and write files at an offset: Windows has no ``os.pread`` and ``os.pwrite``."""

from __future__ import annotations

import os
import threading

_moving = threading.Lock()
"""Held while the one position of a file is somebody's, where there are no others."""


def read_at(file: int, count: int, offset: int) -> bytes:
    """Return at most ``count`` bytes of an open file from an offset; several threads may read one file."""
    if hasattr(os, "pread"):
        return os.pread(file, count, offset)
    with _moving:
        os.lseek(file, offset, os.SEEK_SET)
        return os.read(file, count)


def write_at(file: int, data: memoryview, offset: int) -> int:
    """Write to an open file at an offset, and return how many bytes of ``data`` were."""
    if hasattr(os, "pwrite"):
        return os.pwrite(file, data, offset)
    with _moving:
        os.lseek(file, offset, os.SEEK_SET)
        return os.write(file, data)

"""Digests of files, written ``algorithm:hex``."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path
from typing import Any

_IDENTITY = ("st_dev", "st_ino", "st_size", "st_mtime_ns", "st_ctime_ns")
_SETTLED_NS = 2 * 10**9
"""Coarsest time stamp of a file system in use (FAT's)."""
_digests: dict[tuple[Any, ...], str] = {}


def file_digest(path: Path, algorithm: str = "sha256") -> str:
    """Return ``"sha256:…"`` of a file's bytes, read in blocks.

    A process reads the same bytes once: the result is cached by name, device, inode, size and modification time. A file
    that was modified within the last two seconds could change again without a trace, and is not cached.

    Args:
        path: The file.
        algorithm: A name that hashlib knows.
    """
    with path.open("rb") as file:
        before = os.fstat(file.fileno())
        key = (path.absolute(), algorithm, *(getattr(before, field) for field in _IDENTITY))
        if key in _digests:
            return _digests[key]
        digest = f"{algorithm}:{hashlib.file_digest(file, algorithm).hexdigest()}"
        after = os.fstat(file.fileno())
    unchanged = all(getattr(before, field) == getattr(after, field) for field in _IDENTITY)
    if unchanged and time.time_ns() - before.st_mtime_ns > _SETTLED_NS:
        _digests[key] = digest
    return digest


def digest_problem(path: Path, expected: str) -> str | None:
    """Return what is wrong with a file whose digest is not ``expected``; None if it is."""
    actual = file_digest(path, expected.partition(":")[0])
    return None if actual == expected else f"its digest is {actual}, expected {expected}"

"""What was found out about files, such as their digests: computed once for each version of a file.

A version is a path with device, inode, size and times. A finding is a small file of its own in tlkit's cache, named by
a hash of the version: processes never wait for each other, and nothing that is damaged, half written or not readable
there is worse than a finding that is missing.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import time
from contextlib import suppress
from pathlib import Path

from tlkit.utils.atomic_write import atomic_write, is_abandoned
from tlkit.utils.cache_dir import VERIFIED, cache_folder, create_folder

MOST = 2000
"""Findings that are kept; the oldest half goes first."""
SETTLED_NS = 2 * 10**9
"""Coarsest time stamp of a file system in use (FAT's): a file that changes later than that has another time."""
_MAX_BYTES = 1000
_VERSION = ("st_dev", "st_ino", "st_size", "st_mtime_ns", "st_ctime_ns")
"""With the time of change, or on Windows of creation: the modification time can be set back."""
_recalled: dict[str, str] = {}


def same_version(one: os.stat_result, other: os.stat_result) -> bool:
    """Return True if a file did not change from one status to the other."""
    return version_of(one) == version_of(other)


def version_of(status: os.stat_result) -> tuple[int, ...]:
    """Return what changes when a file does."""
    return tuple(getattr(status, field) for field in _VERSION)


def is_settled(status: os.stat_result) -> bool:
    """Return False for a file that changed just now: it could change again without another time."""
    return time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns) > SETTLED_NS


def recall(what: str, path: Path, status: os.stat_result) -> str | None:
    """Return what was found out about this version of a file; None if nothing was, or it cannot be read.

    Args:
        what: The question, with the version of its answer.
        path: The file.
        status: Its status.
    """
    name = _name(what, path, status)
    if name not in _recalled:
        with suppress(OSError, ValueError):
            value, _, check = _read(findings_folder() / name).partition("\n")
            if check == _check(name, value):
                _recalled[name] = value
    return _recalled.get(name)


def remember(what: str, path: Path, status: os.stat_result, value: str) -> None:
    """Remember what was found out about a version of a file, unless it could still change without a trace.

    A cache that cannot be written to is no error: this process remembers.

    Args:
        what: The question, with the version of its answer.
        path: The file.
        status: Its status, from before it was read.
        value: The answer, one line.
    """
    if not is_settled(status):
        return
    name = _name(what, path, status)
    _recalled[name] = value
    with suppress(OSError, ValueError):
        folder = findings_folder()
        create_folder(folder)
        with atomic_write(folder / name) as part:
            part.write_text(f"{value}\n{_check(name, value)}", "utf-8")
        _remove_oldest(folder)


def forget() -> None:
    """Remove every finding; where that is not allowed, they stay."""
    _recalled.clear()
    with suppress(OSError):
        for path in _own_files(findings_folder()):
            path.unlink(missing_ok=True)


def findings_folder() -> Path:
    """Return the folder of the findings, in tlkit's cache."""
    return cache_folder() / VERIFIED


def _name(what: str, path: Path, status: os.stat_result) -> str:
    text = repr((what, os.path.abspath(path), *version_of(status)))
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _check(name: str, value: str) -> str:
    """Return what stands below the value in its file: bytes that a disk lost must not pass for a digest."""
    return hashlib.sha256(f"{name} {value}".encode()).hexdigest()


def _read(path: Path) -> str:
    if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe would wait
        raise ValueError("not a file")
    with path.open("rb") as file:
        return file.read(_MAX_BYTES).decode("utf-8")


def _own_files(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if re.fullmatch("[0-9a-f]{64}", path.name) or is_abandoned(path)]


def _remove_oldest(folder: Path) -> None:
    found = _own_files(folder)
    if len(found) > MOST:
        for path in sorted(found, key=lambda path: path.lstat().st_mtime)[: len(found) // 2]:
            path.unlink(missing_ok=True)

"""Write files so that they are whole or absent."""

from __future__ import annotations

import functools
import glob
import hashlib
import os
import platform
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PART = ".part-"
"""Prefix of the names of files and folders that are still being written."""
_OWNER = re.compile(rf"{re.escape(PART)}(?P<host>[0-9a-f]{{12}})-(?P<process>\d{{1,10}})-.*", re.DOTALL)
_UNKNOWN_OWNER_SECONDS = 7 * 24 * 3600
"""A part whose owner cannot be looked up (another host, a container, before a reboot) is left alone for a week."""


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a path beside ``path`` to write to; rename it to ``path`` when the block succeeds.

    The name's extension is retained, because libraries choose the format by it. If the block fails, the part is
    removed and an earlier file at ``path`` is untouched. Abandoned parts of ``path`` are removed first.
    """
    for part in path.parent.glob(f"{PART}*-{glob.escape(path.name)}"):
        if is_abandoned(part):
            part.unlink(missing_ok=True)
    part = path.with_name(part_prefix() + path.name)
    try:
        yield part
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def part_folder(parent: Path) -> Iterator[Path]:
    """Yield a new folder in ``parent``, to write into what is then moved; it is removed at the end.

    Abandoned ones are removed first.
    """
    for part in parent.glob(f"{PART}*"):
        if part.is_dir() and is_abandoned(part):
            shutil.rmtree(part, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=parent, prefix=part_prefix(), ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def part_prefix() -> str:
    """Return how this process begins the names of its parts: with this host and the process number."""
    return f"{PART}{_host()}-{os.getpid()}-"


def is_part(path: Path) -> bool:
    """Return True for a name that tlkit gives to a part, and nobody else."""
    return _OWNER.fullmatch(path.name) is not None


def is_abandoned(part: Path) -> bool:
    """Return whether nobody writes to a part any more.

    On this host that is known: its process has ended. Otherwise a part is abandoned that nobody touched for a week.
    A name that tlkit does not give is nobody's part.
    """
    owner = _OWNER.fullmatch(part.name)
    if owner is None:
        return False
    if owner["host"] != _host() or os.name == "nt":
        try:
            return time.time() - part.lstat().st_mtime > _UNKNOWN_OWNER_SECONDS
        except OSError:
            return False
    try:
        os.kill(int(owner["process"]), 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        pass
    return False


@functools.cache
def _host() -> str:
    """Return an identifier of where process numbers mean the same: host, boot and, in a container, namespace."""
    known = [platform.node()]
    with suppress(OSError):
        known.append(Path("/proc/sys/kernel/random/boot_id").read_text("ascii"))
        known.append(os.readlink("/proc/self/ns/pid"))
    return hashlib.sha256("\n".join(known).encode()).hexdigest()[:12]

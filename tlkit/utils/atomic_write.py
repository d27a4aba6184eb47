"""Write files so that they are whole or absent."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Give a name beside ``path`` to write to; rename it to ``path`` when the block ends well.

    The ending of the name stays, because libraries tell the format by it. When the block fails the part is
    removed and what was at ``path`` before is untouched; so are parts that killed processes left.
    """
    for left in path.parent.glob(f".part-*-{glob.escape(path.name)}"):
        if not _alive(left.name.split("-")[1]):
            left.unlink(missing_ok=True)
    part = path.with_name(f".part-{os.getpid()}-{path.name}")
    try:
        yield part
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _alive(process: str) -> bool:
    """True unless it is certain that no process of that number runs."""
    if os.name == "nt" or not process.isdecimal():
        return True
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        pass
    return True

"""How many processors this process may use, and how many threads it uses them with."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from tlkit.utils.logging import logger
from tlkit.utils.text import pluralize

CGROUPS, OWN_CGROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
"""Where Linux has the control groups, and the file that lists those of the process."""
_BLAS = "OPENBLAS_NUM_THREADS"
_asked: int | None = None


def usable_processors() -> int:
    """Return the number of processors that this process may use, at least 1: its affinity mask and its CPU quota.

    ``os.cpu_count`` counts those of the whole machine: in a container, or under ``taskset``, too many.
    """
    return min(_allowed(), cpu_quota() or _allowed())


def _allowed() -> int:
    # Windows and macOS have no affinity masks to read
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cpu_quota(cgroups: Path = CGROUPS, own: Path = OWN_CGROUPS) -> int | None:
    """Return the processors' time that Linux grants this process, in processors, rounded up; None without a limit.

    The time of a control group is also that of the groups above it, so that the least counts.

    Args:
        cgroups: Where the control groups are mounted.
        own: The file that lists those of the process.
    """
    found = []
    for folder in control_groups("cpu", cgroups, own):
        with suppress(OSError, ValueError):
            if (folder / "cpu.max").exists():
                quota, period = (folder / "cpu.max").read_text("ascii").split()
            else:  # version 1
                names = "cpu.cfs_quota_us", "cpu.cfs_period_us"
                quota, period = ((folder / name).read_text("ascii") for name in names)
            if int(quota) > 0 and int(period) > 0:  # "max" is no number, and -1 is none
                found.append(-(-int(quota) // int(period)))
    return min(found, default=None)


def control_groups(controller: str, cgroups: Path, own: Path) -> Iterator[Path]:
    """Yield the folder of each control group that limits this process, and those of the groups above it.

    Args:
        controller: What they limit: ``cpu`` or ``memory``.
        cgroups: Where the control groups are mounted.
        own: The file that lists those of the process.
    """
    try:
        lines = own.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        root = cgroups / controllers  # version 2 names no controllers
        parts = [part for part in path.split("/") if part not in ("", "..")]
        # the path may be that on the host, which a container does not have
        yield from (root.joinpath(*parts[:depth]) for depth in range(len(parts), -1, -1))


def use_threads(number: int | None) -> None:
    """Set how many threads decode, and how many compute, from now on in this process.

    NumPy, if it is yet to be imported, gets as many for its matrix products.

    Args:
        number: None for one per processor. Not more than there are processors are used.
    """
    global _asked
    _asked = number
    if number is not None and number > _allowed():
        logger.info("--threads %d: this process may use %s.", number, pluralize(_allowed(), "processor"))
    limit = thread_limit()
    if limit is not None and "numpy" not in sys.modules and _BLAS not in os.environ:
        os.environ[_BLAS] = str(limit)
        try:
            import numpy  # noqa: F401
        finally:
            del os.environ[_BLAS]


def thread_limit() -> int | None:
    """Return the number of threads where it is less than a library would start by itself, or was asked for."""
    if _asked is None:
        return usable_processors() if usable_processors() < _allowed() else None
    return min(_asked, _allowed())


def compute_threads() -> int:
    """Return the number of threads that run a network."""
    return thread_limit() or usable_processors()


def decode_threads() -> int:
    """Return the number of threads that decode files; without ``--threads`` at least two, because disks are slow."""
    return compute_threads() if _asked is not None else max(2, compute_threads())

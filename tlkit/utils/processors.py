"""How many processors this process may use."""

from __future__ import annotations

import os


def usable_processors() -> int:
    """Return the number of processors in this process's affinity mask, at least 1.

    ``os.cpu_count`` counts those of the whole machine: with ``taskset`` or a container's CPU set, too many.
    """
    # Windows and macOS have no affinity masks to read
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

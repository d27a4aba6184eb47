"""How much memory there is for this process."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

from tlkit.utils.processors import CGROUPS, OWN_CGROUPS, control_groups

_MEMINFO = Path("/proc/meminfo")


def total_memory() -> int | None:
    """Return the bytes of memory of this machine; None where the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # Windows
        return None


def available_memory(meminfo: Path = _MEMINFO) -> int | None:
    """Return the bytes that programs can have now, on Linux; None elsewhere."""
    with suppress(OSError, ValueError):
        found = re.search(r"^MemAvailable: *(\d+) kB$", meminfo.read_text("ascii"), re.MULTILINE)
        return 1024 * int(found[1]) if found else None
    return None


def memory_limit(cgroups: Path = CGROUPS, own: Path = OWN_CGROUPS) -> int | None:
    """Return the bytes that Linux grants this process, as in a container; None without a limit.

    A process that takes more is killed. The least of its control groups and those above them counts.

    Args:
        cgroups: Where the control groups are mounted.
        own: The file that lists those of the process.
    """
    found = []
    for folder in control_groups("memory", cgroups, own):
        for name in ("memory.max", "memory.limit_in_bytes"):  # versions 2 and 1
            with suppress(OSError, ValueError):
                found.append(int((folder / name).read_text("ascii")))  # "max" is no number
    limit, total = min(found, default=None), total_memory()
    return None if limit is None or (total is not None and limit >= total) else limit

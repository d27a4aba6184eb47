"""What the machine is: Python, processors, memory."""

from __future__ import annotations

import os
import platform
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from tlkit.utils.memory import available_memory, memory_limit, total_memory
from tlkit.utils.processors import cpu_quota, usable_processors

_CPUINFO = Path("/proc/cpuinfo")
_DRIVER = re.compile(r"Kernel Module.*?\s(\d+\.[\d.]+)\s")
_INSTRUCTIONS = (
    "sse4_2", "avx", "avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "asimd", "sve", "bf16",
)  # fmt: skip
"""Those that packages are compiled for; a processor without them ends a process that uses them."""


@dataclass(frozen=True)
class Python:
    """The interpreter.

    Attributes:
        version: ``3.12.4``.
        implementation: ``CPython``.
        executable: Its file.
        environment: ``virtual``, ``conda``, or None for that of the system.
        prefix: The folder of that environment.
    """

    version: str
    implementation: str
    executable: str
    environment: str | None
    prefix: str


@dataclass(frozen=True)
class Processors:
    """The processors.

    Attributes:
        model: Their name; None where the system does not tell.
        instructions: Which of the instructions they have that packages are compiled for.
        total: How many the machine has.
        usable: How many this process may use: its affinity mask and its CPU quota.
        quota: Processors whose time a control group grants it; None without a limit.
    """

    model: str | None
    instructions: tuple[str, ...]
    total: int
    usable: int
    quota: int | None


@dataclass(frozen=True)
class Memory:
    """The memory in bytes, None where it is not known.

    Attributes:
        total: Of the machine.
        available: What programs can have now.
        limit: What a control group grants this process; None without a limit.
    """

    total: int | None
    available: int | None
    limit: int | None


@dataclass(frozen=True)
class Machine:
    """The machine.

    Attributes:
        platform: Its system, version and architecture.
        python: The interpreter.
        processors: The processors.
        memory: The memory.
        driver: The version of NVIDIA's driver, on Linux; None without one.
    """

    platform: str
    python: Python
    processors: Processors
    memory: Memory
    driver: str | None


def inspect_machine(driver: Path, cpuinfo: Path = _CPUINFO) -> Machine:
    """Return what the machine is.

    Args:
        driver: The file of NVIDIA's driver about itself.
        cpuinfo: That of Linux about its processors.
    """
    model, instructions = _read_processors(cpuinfo)
    kind = "conda" if Path(sys.prefix, "conda-meta").is_dir() else None
    return Machine(
        platform=platform.platform(),
        python=Python(
            platform.python_version(), platform.python_implementation(), sys.executable,
            "virtual" if sys.prefix != sys.base_prefix else kind, sys.prefix,
        ),
        processors=Processors(model, instructions, os.cpu_count() or 1, usable_processors(), cpu_quota()),
        memory=Memory(total_memory(), available_memory(), memory_limit()),
        driver=_read_driver(driver),
    )  # fmt: skip


def _read_processors(cpuinfo: Path) -> tuple[str | None, tuple[str, ...]]:
    try:
        text = cpuinfo.read_text("utf-8", "replace")
    except OSError:
        return platform.processor() or None, ()
    model = re.search(r"^model name\s*: *(.+)$", text, re.MULTILINE)
    flags = re.search(r"^(?:flags|Features)\s*: *(.+)$", text, re.MULTILINE)
    words = flags[1].split() if flags else []
    return (model[1].strip() if model else None), tuple(name for name in _INSTRUCTIONS if name in words)


def _read_driver(path: Path) -> str | None:
    try:
        found = _DRIVER.search(path.read_text("utf-8", "replace"))
    except OSError:
        return None
    return found[1] if found else "of an unknown version"

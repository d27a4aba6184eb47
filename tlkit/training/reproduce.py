"""What it takes to do a job again: the command line that asks for it, and the versions it ran on."""

from __future__ import annotations

import importlib.metadata
import platform
import shlex
from collections.abc import Sequence

import tlkit
from tlkit.utils.options import Options


def command_line(command: str, config: Options, *, leave_out: Sequence[str] = ()) -> str:
    """Return the shell command that asks for what a config holds; options at their defaults are left out.

    Args:
        command: ``finetune`` and so on.
        config: Its config.
        leave_out: Fields to leave out.
    """
    return shlex.join(["tlkit", command, *config.words(leave_out=leave_out)])


def versions() -> dict[str, str]:
    """Versions of tlkit, Python and the packages that decide numbers."""
    found = {"tlkit": tlkit.__version__, "python": platform.python_version()}
    for name in ("tensorflow", "keras", "openvino", "numpy", "pillow", "soundfile", "soxr", "h5py"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:  # some are extras
            continue
    return found

"""What it takes to do a job again: the command line that asks for it, and the versions it ran on."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import platform
import shlex
from collections.abc import Sequence
from typing import Any

import tlkit
from tlkit.config import BuildOptions, LoadOptions
from tlkit.utils.options import option_name, option_words


def command_line(command: str, config: Any, *, positional: Sequence[str], leave_out: Sequence[str] = ()) -> str:
    """The command line that asks for what a config says; options at their defaults are left out.

    Args:
        command: ``finetune`` and so on.
        config: Its config.
        positional: The arguments that have no option.
        leave_out: What need not be asked for.
    """
    words = ["tlkit", command, *(str(getattr(config, name)) for name in positional)]
    for item in dataclasses.fields(config):
        value = getattr(config, item.name)
        if item.name in (*positional, *leave_out) or value == item.default:
            continue
        grouped = isinstance(value, BuildOptions | LoadOptions)
        words += option_words(value) if grouped else [option_name(item.name), _shown(value)]
    return shlex.join(words)


def _shown(value: Any) -> str:
    return f"{value[0]}x{value[1]}" if isinstance(value, tuple) else str(value)


def versions() -> dict[str, str]:
    """Versions of tlkit, Python and the packages that decide numbers."""
    found = {"tlkit": tlkit.__version__, "python": platform.python_version()}
    for name in ("tensorflow", "keras", "openvino", "numpy", "pillow", "soundfile", "soxr", "h5py"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:  # some are extras
            continue
    return found

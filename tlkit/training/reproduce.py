"""How to reproduce a run: its command line, its effective options, and the versions it ran on."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import platform
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import tlkit
from tlkit.config import BuildOptions, LoadOptions
from tlkit.utils.options import option_name, option_words


def command_line(command: str, config: Any, *, positional: Sequence[str], **values: Any) -> str:
    """Return the command line of a config; options at their defaults are left out.

    Args:
        command: Name of the command.
        config: Its config.
        positional: Fields that are arguments, not options.
        values: Values to print instead of those of the config: absolute paths, an output that was chosen.
    """
    fields = {item.name: values.get(item.name, getattr(config, item.name)) for item in dataclasses.fields(config)}
    words = ["tlkit", command, *(str(fields[name]) for name in positional)]
    for item in dataclasses.fields(config):
        value = fields[item.name]
        if item.name in positional or value == item.default:
            continue
        grouped = isinstance(value, BuildOptions | LoadOptions)
        words += option_words(value) if grouped else [option_name(item.name), _shown(value)]
    return shlex.join(words)


def effective_options(config: Any, **resolved: Any) -> dict[str, Any]:
    """Return the options of a run as flat JSON values, defaults resolved; those without effect are left out.

    Args:
        config: Its config.
        resolved: Effective values of options that the config leaves at None.
    """
    flat: dict[str, Any] = {}
    for item in dataclasses.fields(config):
        value = getattr(config, item.name)
        if isinstance(value, BuildOptions | LoadOptions):
            flat.update(
                {name: inner for name, inner in dataclasses.asdict(value).items() if inner not in (None, False)}
            )
        else:
            flat[item.name] = resolved.get(item.name, value)
    return {
        name: _shown(value) if isinstance(value, tuple) else value for name, value in flat.items() if value is not None
    }


def _shown(value: Any) -> str:
    return f"{value[0]}x{value[1]}" if isinstance(value, tuple) else str(value)


def versions() -> Mapping[str, str]:
    """Return the versions of tlkit, Python and the packages that decide numbers."""
    found = {"tlkit": tlkit.__version__, "python": platform.python_version()}
    for name in ("tensorflow", "keras", "openvino", "numpy", "pillow", "soundfile", "soxr", "h5py"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:  # some are extras
            continue
    return found

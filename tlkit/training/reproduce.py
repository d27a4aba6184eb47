"""How to reproduce a run: its command line, its effective options, and the versions it ran on."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import platform
import shlex
from typing import Any

import tlkit
from tlkit.utils.compute import backend
from tlkit.utils.options import Options


def command_line(command: str, config: Options) -> str:
    """Return the command line of a config; options at their defaults are left out."""
    return shlex.join(["tlkit", command, *config.words()])


def effective_options(config: Options, **resolved: Any) -> dict[str, Any]:
    """Return the options of a run as JSON values with defaults resolved; options that are unset or off are left out.

    Args:
        config: Its config.
        resolved: Effective values of options that the config leaves at None.
    """
    values = {item.name: getattr(config, item.name) for item in dataclasses.fields(config)}  # type: ignore[arg-type]  # every subclass is one
    values.update(resolved)
    return {
        name: "x".join(map(str, value)) if isinstance(value, tuple) else value
        for name, value in values.items()
        if value is not None and value is not False
    }


def versions() -> dict[str, str]:
    """Return the versions of tlkit, Python and the packages that decide numbers, of Keras the backend in use."""
    found = {"tlkit": tlkit.__version__, "python": platform.python_version()}
    for name in (backend(), "keras", "openvino", "numpy", "pillow", "soundfile", "soxr", "h5py"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:  # some are extras
            continue
    return found

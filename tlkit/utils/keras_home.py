"""Keras's own folder (``~/.keras``, or ``KERAS_HOME``) and its settings."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from tlkit.utils.bounded_read import read_text
from tlkit.utils.logging import warn_once
from tlkit.utils.options import join_or

MAX_BYTES = 100_000
_ALLOWED = {
    "image_data_format": ("channels_last", "channels_first"),
    "floatx": ("float32", "float64", "float16"),
}
"""Settings that Keras refuses other values of."""


def keras_home() -> Path:
    """Return the folder of Keras's settings and downloads."""
    named = os.environ.get("KERAS_HOME")
    if named:
        return Path(named)
    home = os.path.expanduser("~")
    return Path("/tmp" if home == "~" else home) / ".keras"  # as Keras has it for a user without a home


def image_data_format() -> str:
    """Return Keras's data format, ``channels_last`` or ``channels_first``, without importing Keras."""
    return str((settings() or {}).get("image_data_format", "channels_last"))


def settings() -> dict[str, Any] | None:
    """Return what ``keras.json`` sets; None, after a warning, if Keras would refuse or misread it.

    Keras reads the file when it is imported, and fails in words that do not name it.
    """
    content, problem = read_settings()
    if problem is not None:
        warn_once(f"{settings_file()} is not used: {problem}. Keras's defaults apply.")
    return content


def settings_file() -> Path:
    """Return the path of ``keras.json``, whether there is one or not."""
    return keras_home() / "keras.json"


def read_settings() -> tuple[dict[str, Any] | None, str | None]:
    """Return what ``keras.json`` sets, which is nothing without the file; or None and what is wrong with it."""
    try:
        content = json.loads(read_text(settings_file(), MAX_BYTES))
        problem = _problem(content)
    except FileNotFoundError:
        return {}, None
    except RecursionError:
        problem = "it is nested too deep"
    except OSError as error:
        problem = f"it cannot be read ({error.strerror})"
    except ValueError as error:
        problem = str(error)
    return (dict(content), None) if problem is None else (None, problem)


def _problem(content: Any) -> str | None:
    if not isinstance(content, dict):
        kind = "null" if content is None else "a list" if isinstance(content, list) else "one value"
        return f"it holds {kind}, not settings by name"
    for name, allowed in _ALLOWED.items():
        if name in content and content[name] not in allowed:
            return f"{name} is {content[name]!r}, expected {join_or(allowed)}"
    if not isinstance(content.get("epsilon", 1e-7), float):
        return f"epsilon is {content['epsilon']!r}, expected a number such as 1e-07"
    return None

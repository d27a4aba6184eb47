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
    home = os.environ.get("KERAS_HOME")
    return Path(home) if home else Path.home() / ".keras"


def image_data_format() -> str:
    """Return Keras's data format, ``channels_last`` or ``channels_first``, without importing Keras."""
    return str((settings() or {}).get("image_data_format", "channels_last"))


def settings() -> dict[str, Any] | None:
    """Return what ``keras.json`` sets; None, after a warning, if Keras would refuse or misread it.

    Keras reads the file when it is imported, and fails in words that do not name it.
    """
    path = keras_home() / "keras.json"
    try:
        content = json.loads(read_text(path, MAX_BYTES))
        problem = _problem(content)
    except FileNotFoundError:
        return {}
    except RecursionError:
        problem = "it is nested too deep"
    except (OSError, ValueError) as error:
        problem = str(error)
    if problem is None:
        return dict(content)
    warn_once(f"{path} is not used: {problem}. Keras's defaults apply.")
    return None


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

"""Keras's own folder and what it says: ``~/.keras``, or ``KERAS_HOME``."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


def keras_home() -> Path:
    """Where Keras keeps its settings and its downloads."""
    home = os.environ.get("KERAS_HOME")
    return Path(home) if home else Path.home() / ".keras"


def image_data_format() -> str:
    """``channels_last`` or ``channels_first``: what Keras would build networks in, without starting it."""
    said = keras_settings().get("image_data_format")
    return said if said in ("channels_last", "channels_first") else "channels_last"


def keras_settings() -> dict[str, Any]:
    """What stands in ``keras.json``; nothing where there is none, or none that Keras could read."""
    try:
        content = json.loads((keras_home() / "keras.json").read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}

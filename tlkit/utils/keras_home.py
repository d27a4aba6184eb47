"""Keras's own folder (``~/.keras``, or ``KERAS_HOME``) and its settings."""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path

from tlkit.utils.logging import logger


def keras_home() -> Path:
    """Return the folder of Keras's settings and downloads."""
    home = os.environ.get("KERAS_HOME")
    return Path(home) if home else Path.home() / ".keras"


def image_data_format() -> str:
    """Return Keras's data format, ``channels_last`` or ``channels_first``, without importing Keras."""
    path = keras_home() / "keras.json"
    try:
        content = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return "channels_last"
    except (OSError, ValueError) as error:
        _warn(f"{path} is not used: {error}.")
        return "channels_last"
    layout = content.get("image_data_format", "channels_last") if isinstance(content, dict) else "channels_last"
    if layout not in ("channels_last", "channels_first"):
        _warn(f"{path} has image_data_format {layout!r}; using channels_last.")
        return "channels_last"
    return layout


@cache
def _warn(text: str) -> None:
    """Log a warning once."""
    logger.warning(text)

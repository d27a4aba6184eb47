"""Keras's own folder and what it says: ``~/.keras``, or ``KERAS_HOME``."""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path

from tlkit.utils.logging import logger


def keras_home() -> Path:
    """Where Keras keeps its settings and its downloads."""
    home = os.environ.get("KERAS_HOME")
    return Path(home) if home else Path.home() / ".keras"


def image_data_format() -> str:
    """``channels_last`` or ``channels_first``: what Keras would build networks in, without starting it."""
    path = keras_home() / "keras.json"
    try:
        content = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return "channels_last"
    except (OSError, ValueError) as error:
        _warn(f"{path} is not used: {error}.")
        return "channels_last"
    said = content.get("image_data_format", "channels_last") if isinstance(content, dict) else "channels_last"
    if said not in ("channels_last", "channels_first"):
        _warn(f"{path} says image_data_format {said!r}; channels_last is used.")
        return "channels_last"
    return said


@cache
def _warn(text: str) -> None:
    """Say something once."""
    logger.warning(text)

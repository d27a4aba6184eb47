"""The folders where weights files are kept."""

from __future__ import annotations

import os
from pathlib import Path

from tlkit.caches import cache_folder


def keras_weights_folder() -> Path:
    """Where Keras keeps its downloads; tlkit reads it and never writes there."""
    home = os.environ.get("KERAS_HOME")
    return (Path(home) if home else Path.home() / ".keras") / "models"


def weights_folder() -> Path:
    """Where tlkit keeps what it downloads."""
    return cache_folder() / "weights"

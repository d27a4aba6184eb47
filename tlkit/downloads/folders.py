"""The folders where weights files are kept."""

from __future__ import annotations

from pathlib import Path

from tlkit.utils.cache_dir import cache_folder
from tlkit.utils.keras_home import keras_home


def keras_weights_folder() -> Path:
    """Where Keras keeps its downloads; tlkit reads it and never writes there."""
    return keras_home() / "models"


def weights_folder() -> Path:
    """Where tlkit keeps what it downloads."""
    return cache_folder() / "weights"

"""The folders where weights files are kept."""

from __future__ import annotations

import os
from pathlib import Path


def keras_weights_folder() -> Path:
    """Where Keras keeps its downloads; tlkit reads it and never writes there."""
    home = os.environ.get("KERAS_HOME")
    return (Path(home) if home else Path.home() / ".keras") / "models"


def cache_folder() -> Path:
    """Tlkit's own cache: ``TLKIT_CACHE_DIR``, else ``tlkit`` in the user's cache folder."""
    given = os.environ.get("TLKIT_CACHE_DIR")
    if given:
        return Path(given)
    from pooch import os_cache

    return Path(os_cache("tlkit"))


def weights_folder() -> Path:
    """Where tlkit keeps what it downloads."""
    return cache_folder() / "weights"

"""A network that an engine can run; its Keras model is built only if the engine needs it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tlkit.data.preprocessor import Preprocessor


@dataclass(frozen=True)
class LazyModel:
    """A network with its preprocessor; a converted one that is cached runs without building the Keras model.

    Attributes:
        model: Builds the Keras model: one input, and the outputs to compute.
        preprocessor: From a file to the input of the model.
        cache_key: Everything about the model that its outputs depend on (architecture, weights, layers, …), for JSON.
            None if that is not known, as with random weights: its conversion is then not cached.
    """

    model: Callable[[], Any]
    preprocessor: Preprocessor
    cache_key: Mapping[str, Any] | None = None

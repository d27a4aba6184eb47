"""A network to run forward, built only when an engine needs it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tlkit.data.preprocessor import Preprocessor
from tlkit.inference.provenance import Provenance


@dataclass(frozen=True)
class LazyModel:
    """A Keras model that is built on demand; a network converted earlier runs without it.

    Attributes:
        model: Return the ``keras.Model``: one input, and the outputs that are computed.
        preprocessor: How a file becomes its input.
        provenance: What decides its outputs; None where its weights cannot be identified, so that no converted copy
            of it may be cached.
    """

    model: Callable[[], Any]
    preprocessor: Preprocessor
    provenance: Provenance | None = None

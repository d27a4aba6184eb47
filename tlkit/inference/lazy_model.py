"""A network to run forward, built only when an engine needs it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tlkit.data.preprocessor import Preprocessor
from tlkit.inference.provenance import Provenance

if TYPE_CHECKING:
    from tlkit.inference.compiler.network import Selection


@dataclass(frozen=True)
class LazyModel:
    """A network that is built on demand: as a Keras model, or, where it is known as data, without Keras.

    Attributes:
        model: Return the ``keras.Model``: one input, and the outputs that are computed.
        preprocessor: How a file becomes its input.
        provenance: What decides its outputs; None where its weights cannot be identified, so that no converted copy
            of it may be cached.
        selection: Return the network as data, with the same outputs; it may raise
            :class:`tlkit.inference.compiler.graph.Unsupported`. None where there is only the Keras model.
    """

    model: Callable[[], Any]
    preprocessor: Preprocessor
    provenance: Provenance | None = None
    selection: Callable[[], Selection] | None = None

"""Say which layer of a network cannot be run, out of what TensorFlow and OpenVINO raise."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from tlkit.errors import OUT_OF_MEMORY, ModelError
from tlkit.keras_private import flatten_layers
from tlkit.utils.text import join_truncated

_MOST_NAMED = 3


class OpenVINOError(ModelError):
    """OpenVINO cannot convert, compile or run a network that Keras may run."""


def layer_of(model: Any, node: str) -> Any:
    """Return the layer of a Keras model that a node of its TensorFlow graph was traced in; None if it was in none.

    Args:
        model: The ``keras.Model``.
        node: Its name, such as ``inner_1/enlarge_1/resize/ResizeBicubic``: TensorFlow counts the calls of a layer.
    """
    found = None
    for scope in node.split("/")[:-1]:
        below = {layer.name: layer for layer in flatten_layers(model if found is None else found)[1:]}
        found = below.get(re.sub(r"_\d+$", "", scope)) or below.get(scope) or found
    return found


def describe_layer(layer: Any) -> str:
    """Return ``layer NAME (CLASS)``."""
    return f"layer {layer.name} ({type(layer).__name__})"


def describe_operations(model: Any, nodes: Iterable[tuple[str, str]]) -> str:
    """Return which operations of TensorFlow are of which layers: ``ResizeBicubic of layer enlarge (Resizing)``.

    Args:
        model: The ``keras.Model``.
        nodes: ``(operation, name)`` of nodes of its TensorFlow graph.
    """
    found: dict[str, None] = {}
    for operation, name in nodes:
        layer = layer_of(model, name)
        found[f"{operation} of {describe_layer(layer)}" if layer else f"{operation} (no layer of its own)"] = None
    return join_truncated(list(found), most=_MOST_NAMED)


def reason_of(error: BaseException) -> str:
    """Return the line of a message that tells why, without where in a library it was raised, nor a full stop."""
    lines = [line.strip() for line in str(error).splitlines()]
    telling = [line for line in lines if line and not line.startswith(("Exception from", "Check '", "FrontEnd API"))]
    return (telling or [line for line in lines if line] or [type(error).__name__])[0].rstrip(".")


def is_about_memory(error: BaseException) -> bool:
    """Return True where memory or disk space did not suffice, whatever runs the network."""
    text = f"{type(error).__name__} {error}"
    return isinstance(error, MemoryError | OSError) or any(sign in text for sign in OUT_OF_MEMORY)

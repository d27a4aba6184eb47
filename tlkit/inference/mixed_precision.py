"""Layers that compute in a lower precision than their weights have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tlkit.backend import keras


@contextmanager
def mixed_precision_scope(precision: str, layers: Sequence[Any]) -> Iterator[None]:
    """Compute layers in mixed ``precision`` inside the block; their weights stay float32.

    Models must be built, or called, inside the block: Keras reads the dtype policy of a layer when it is called.
    """
    if precision == "float32":
        yield
        return
    before = [(layer, layer.dtype_policy) for layer in layers]
    for layer, _ in before:
        layer.dtype_policy = keras.DTypePolicy(f"mixed_{precision}")
    try:
        yield
    finally:
        for layer, policy in before:
            layer.dtype_policy = policy

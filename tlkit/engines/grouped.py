"""Convolutions in groups, computed by TensorFlow itself.

Keras has XLA compile each of them, from a time when TensorFlow could not compute them on a processor. On a processor
XLA's are many times slower, backward above all, and a compiled piece is closed to the optimizer of the graph around
it: no BatchNorm is folded into it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from tlkit.backend import keras, tf


@contextmanager
def natively(model: Any) -> Iterator[None]:
    """A model that is called inside the block computes its grouped convolutions with TensorFlow's own operation.

    Nothing changes for a model without them, nor for one with channels first, which needs XLA.
    """
    before = tf.config.functions_run_eagerly()
    # run eagerly, a function that is called while a graph is made becomes part of that graph
    tf.config.run_functions_eagerly(before or _is_grouped(model))
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(before)


def to_train(model: Any) -> Any:
    """Another model of the same layers, to compile and train.

    Its grouped convolutions are TensorFlow's own where that has their gradients: on a processor oneDNN has them, which
    is switched on where it knows the processor's instructions.
    """
    grouped = _is_grouped(model) and _has_gradients()
    return (Natively if grouped else keras.Model)(model.inputs, model.outputs)


class Natively(keras.Model):
    """A functional model whose every call is one inside :func:`natively`."""

    # Keras hands on `training` only to a call that names it
    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """What the model gives; the arguments of any functional model."""
        with natively(self):
            return super().call(inputs, training=training, mask=mask)


def _is_grouped(model: Any) -> bool:
    layers = list(_leaves(model))
    return any(isinstance(layer, keras.layers.Conv2D) and layer.groups > 1 for layer in layers) and not any(
        getattr(layer, "data_format", None) == "channels_first" for layer in layers
    )


def _leaves(model: Any) -> Iterator[Any]:
    for layer in model.layers:
        if getattr(layer, "layers", None):
            yield from _leaves(layer)
        else:
            yield layer


@cache
def _has_gradients() -> bool:
    picture, kernel = tf.ones((1, 3, 3, 4)), tf.ones((3, 3, 2, 4))
    try:
        with tf.GradientTape() as tape:
            tape.watch([picture, kernel])
            outputs = tf.nn.conv2d(picture, kernel, 1, "VALID")
        tape.gradient(outputs, [picture, kernel])
    except tf.errors.OpError:
        return False
    return True

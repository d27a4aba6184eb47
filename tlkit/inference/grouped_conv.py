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
def native_grouped_conv(model: Any) -> Iterator[None]:
    """A model that is called inside the block computes its grouped convolutions with TensorFlow's own operation.

    Nothing changes for a model without them, nor where TensorFlow cannot compute all that Keras hands to XLA.
    """
    before = tf.config.functions_run_eagerly()
    # run eagerly, a function that is called while a graph is made becomes part of that graph
    tf.config.run_functions_eagerly(before or _is_native(model, backward=False))
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(before)


def with_native_grouped_conv(model: Any) -> Any:
    """Another model of the same layers, to compile and train.

    Its grouped convolutions are TensorFlow's own where that has their gradients.
    """
    return (NativeGroupedConvModel if _is_native(model, backward=True) else keras.Model)(model.inputs, model.outputs)


class NativeGroupedConvModel(keras.Model):
    """A functional model whose every call is one inside :func:`natively`."""

    # Keras hands on `training` only to a call that names it
    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """What the model gives; the arguments of any functional model."""
        with native_grouped_conv(self):
            return super().call(inputs, training=training, mask=mask)


def _is_native(model: Any, *, backward: bool) -> bool:
    """True when XLA compiles something of a model, and TensorFlow computes all of that itself."""
    compiled = [layer for layer in _leaves(model) if _is_compiled(layer)]
    return bool(compiled) and all(
        isinstance(layer, keras.layers.Conv2D) and _computes(layer.data_format, backward) for layer in compiled
    )


def _leaves(model: Any) -> Iterator[Any]:
    for layer in model.layers:
        if getattr(layer, "layers", None):
            yield from _leaves(layer)
        else:
            yield layer


def _is_compiled(layer: Any) -> bool:
    """What ``conv`` of ``keras/src/backend/tensorflow/nn.py`` hands to XLA."""
    if not hasattr(layer, "kernel_size"):
        return False
    return getattr(layer, "groups", 1) > 1 or (len(layer.kernel_size) == 3 and layer.data_format == "channels_first")


@cache
def _computes(data_format: str, backward: bool) -> bool:
    """Whether TensorFlow computes grouped convolutions of pictures here, or their gradients: tried out.

    Without oneDNN, which is switched on where it knows the processor's instructions, it has neither their gradients nor
    channels first, and refuses one with a bias behind it.
    """
    first = data_format == "channels_first"
    layout, axis = ("NCHW", 1) if first else ("NHWC", 3)

    def convolve(picture: Any, kernel: Any) -> Any:
        return tf.nn.conv2d(picture, kernel, 1, "VALID", data_format=layout)

    def apart(picture: Any, kernel: Any) -> Any:
        groups = zip(tf.split(picture, 4, axis), tf.split(kernel, 4, 3), strict=True)
        return tf.concat([convolve(*group) for group in groups], axis)

    def numbers(way: Any, picture: Any, kernel: Any, bias: Any) -> Any:
        found = tf.nn.relu(tf.nn.bias_add(way(picture, kernel), bias, data_format=layout))
        return [found, *(tf.gradients(found, [picture, kernel]) if backward else ())]

    try:
        with tf.init_scope():  # now, not in the graph that is being made; no tape sees it
            picture = tf.reshape(tf.sin(tf.range(2.0 * 9 * 9 * 16)), (2, 16, 9, 9) if first else (2, 9, 9, 16))
            kernel, bias = tf.reshape(tf.cos(tf.range(3.0 * 3 * 4 * 16)), (3, 3, 4, 16)), tf.sin(tf.range(16.0))
            ways = [tf.function(numbers)(way, picture, kernel, bias) for way in (convolve, apart)]
            return all(bool(tf.reduce_all(tf.abs(one - other) < 1e-3)) for one, other in zip(*ways, strict=True))
    except tf.errors.OpError:
        return False

"""Grouped convolutions computed by TensorFlow's own operation instead of XLA.

Keras compiles each of them with XLA, because TensorFlow once could not compute them on a CPU. There XLA's are many
times slower, above all backward, and TensorFlow's graph optimizer cannot see into them to fold BatchNorm.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from tlkit.backend import keras, tf


@contextmanager
def native_grouped_conv(model: Any) -> Iterator[None]:
    """Compute grouped convolutions of a model called inside the block with TensorFlow's own operation.

    A model without them is unaffected, and so is one with a layer that TensorFlow cannot compute without XLA.
    """
    before = tf.config.functions_run_eagerly()
    # Keras wraps the convolution in tf.function(jit_compile=True); run eagerly, its operations join the graph around it
    tf.config.run_functions_eagerly(before or _is_native(model, backward=False))
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(before)


def with_native_grouped_conv(model: Any) -> Any:
    """Return a model of the same layers to compile and train, whose grouped convolutions are TensorFlow's own.

    If TensorFlow lacks their gradients on this machine, the model trains as Keras does.
    """
    return (NativeGroupedConvModel if _is_native(model, backward=True) else keras.Model)(model.inputs, model.outputs)


class NativeGroupedConvModel(keras.Model):
    """A functional model that is always called inside :func:`native_grouped_conv`."""

    # Keras passes `training` only to a call() that names it
    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Return the outputs; arguments as of any functional model."""
        with native_grouped_conv(self):
            return super().call(inputs, training=training, mask=mask)


def _is_native(model: Any, *, backward: bool) -> bool:
    """Return True if Keras has XLA compile layers of a model, and TensorFlow can compute all of them itself."""
    compiled = [layer for layer in _leaves(model) if _is_compiled(layer)]
    return bool(compiled) and all(
        isinstance(layer, keras.layers.Conv2D) and _runs_in_tensorflow(layer.data_format, backward)
        for layer in compiled
    )


def _leaves(model: Any) -> Iterator[Any]:
    for layer in model.layers:
        if getattr(layer, "layers", None):
            yield from _leaves(layer)
        else:
            yield layer


def _is_compiled(layer: Any) -> bool:
    """Return True for a layer that ``conv`` of ``keras/src/backend/tensorflow/nn.py`` compiles with XLA."""
    if not hasattr(layer, "kernel_size"):
        return False
    return getattr(layer, "groups", 1) > 1 or (len(layer.kernel_size) == 3 and layer.data_format == "channels_first")


@cache
def _runs_in_tensorflow(data_format: str, backward: bool) -> bool:
    """Try whether TensorFlow computes grouped 2D convolutions on this machine (and with ``backward`` their gradients).

    Without oneDNN, which is enabled on processors it knows, TensorFlow has neither the gradients nor channels_first,
    and fails on one followed by a bias.
    """
    channels_first = data_format == "channels_first"
    layout, axis = ("NCHW", 1) if channels_first else ("NHWC", 3)

    def convolve(image: Any, kernel: Any) -> Any:
        return tf.nn.conv2d(image, kernel, 1, "VALID", data_format=layout)

    def convolve_split(image: Any, kernel: Any) -> Any:
        groups = zip(tf.split(image, 4, axis), tf.split(kernel, 4, 3), strict=True)
        return tf.concat([convolve(*group) for group in groups], axis)

    def outputs_and_gradients(convolution: Any, image: Any, kernel: Any, bias: Any) -> Any:
        output = tf.nn.relu(tf.nn.bias_add(convolution(image, kernel), bias, data_format=layout))
        return [output, *(tf.gradients(output, [image, kernel]) if backward else ())]

    try:
        with tf.init_scope():  # now, not in the graph being traced, and not recorded by a gradient tape
            image = tf.reshape(tf.sin(tf.range(2.0 * 9 * 9 * 16)), (2, 16, 9, 9) if channels_first else (2, 9, 9, 16))
            kernel, bias = tf.reshape(tf.cos(tf.range(3.0 * 3 * 4 * 16)), (3, 3, 4, 16)), tf.sin(tf.range(16.0))
            got, expected = (
                tf.function(outputs_and_gradients)(convolution, image, kernel, bias)
                for convolution in (convolve, convolve_split)
            )
            return all(bool(tf.reduce_all(tf.abs(a - b) < 1e-3)) for a, b in zip(got, expected, strict=True))
    except tf.errors.OpError:
        return False

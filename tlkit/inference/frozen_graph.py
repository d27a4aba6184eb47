"""A Keras model as one TensorFlow graph from values to outputs, its weights folded in as constants."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from tlkit.backend import tf
from tlkit.inference.grouped_conv import native_grouped_conv
from tlkit.inference.lazy_model import LazyModel


def frozen_graph(network: LazyModel, *, unroll: bool = False) -> Any:
    """The graph of a network: values ``(rows, height, width, channels)`` to a list of float32 outputs.

    Preprocessing is part of it, so that the processor's threads do it and of pictures only bytes are copied. Weights
    are constants from the start: TensorFlow then folds BatchNorm into convolutions, and taking a graph of variables
    apart afterwards would take three times as long.

    Args:
        network: The network.
        unroll: Write recurrent layers out step by step, where their number of steps is known.
    """
    model, preprocessor = network.model(), network.preprocessor
    trainable = [variable.numpy() for variable in model.trainable_variables]
    others = [variable.numpy() for variable in model.non_trainable_variables]

    def forward(pixels: Any) -> list[Any]:
        inputs = preprocessor.normalize(tf.cast(pixels, tf.float32))
        if preprocessor.data_format == "channels_first":
            inputs = tf.transpose(inputs, (0, 3, 1, 2))
        constants = [[tf.constant(value) for value in values] for values in (trainable, others)]
        with native_grouped_conv(model):
            outputs, _ = model.stateless_call(*constants, inputs, training=False)
        return [tf.cast(output, tf.float32) for output in tf.nest.flatten(outputs)]

    signature = tf.TensorSpec((None, *preprocessor.size, preprocessor.channels), preprocessor.dtype, name="pixels")
    with _unrolled(model) if unroll else nullcontext():
        return tf.function(forward, input_signature=[signature], autograph=False).get_concrete_function()


@contextmanager
def _unrolled(model: Any) -> Iterator[None]:
    """Have recurrent layers write out their steps inside the block; the model stays as it is."""
    looping = [layer for layer in model._flatten_layers() if getattr(layer, "unroll", None) is False and _steps(layer)]
    for layer in looping:
        layer.unroll = True
    try:
        yield
    finally:
        for layer in looping:
            layer.unroll = False


def _steps(layer: Any) -> int | None:
    try:
        steps: int | None = layer.input.shape[1]
        return steps
    except (AttributeError, ValueError):  # it is part of another layer, or called more than once
        return None

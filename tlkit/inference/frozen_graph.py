"""A Keras model as one TensorFlow graph, its weights folded in as constants."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from tlkit.backend import keras_scope, tf
from tlkit.inference.grouped_conv import native_grouped_conv
from tlkit.inference.lazy_model import LazyModel
from tlkit.keras_private import flatten_layers


@keras_scope()
def frozen_graph(network: LazyModel, *, unroll: bool = False, fold: bool = True) -> Any:
    """Trace a network in inference mode.

    Normalization is part of the graph, so that TensorFlow's threads compute it and only bytes of images are copied.
    Weights are constants from the start: TensorFlow then folds BatchNorm into convolutions, and freezing a graph of
    variables afterwards would take three times as long.

    Args:
        network: The network.
        unroll: Unroll recurrent layers whose number of steps is known.
        fold: Copy the weights into the graph. Without it the graph refers to them: TensorFlow folds nothing then, and
            needs three times their bytes instead of sixteen.

    Returns:
        A concrete function from pixels ``(batch, height, width, channels)``, of the preprocessor's dtype, to a list of
        float32 outputs.
    """
    model, preprocessor = network.model(), network.preprocessor
    hold = (lambda value: value) if fold else tf.convert_to_tensor
    weights = [
        [hold(variable.numpy()) for variable in variables]
        for variables in (model.trainable_variables, model.non_trainable_variables)
    ]

    def forward(pixels: Any) -> list[Any]:
        inputs = preprocessor.normalize(tf.cast(pixels, tf.float32))
        if preprocessor.data_format == "channels_first":
            inputs = tf.transpose(inputs, (0, 3, 1, 2))
        constants = [[tf.convert_to_tensor(value) for value in values] for values in weights]
        with native_grouped_conv(model):
            outputs, _ = model.stateless_call(*constants, inputs, training=False)
        return [tf.cast(output, tf.float32) for output in tf.nest.flatten(outputs)]

    signature = tf.TensorSpec((None, *preprocessor.size, preprocessor.channels), preprocessor.dtype, name="pixels")
    with _unrolled(model) if unroll else nullcontext():
        return tf.function(forward, input_signature=[signature], autograph=False).get_concrete_function()


@contextmanager
def _unrolled(model: Any) -> Iterator[None]:
    """Unroll recurrent layers that are traced inside the block."""
    looping = [layer for layer in flatten_layers(model) if getattr(layer, "unroll", None) is False and _steps(layer)]
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
    except (AttributeError, ValueError):  # never called, as a layer inside a wrapper
        return None

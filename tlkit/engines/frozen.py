"""A Keras model as one TensorFlow graph from pixels to outputs, its weights folded in as constants."""

from __future__ import annotations

from typing import Any

from tlkit.backend import tf
from tlkit.engines.grouped import natively
from tlkit.engines.network import Network
from tlkit.images.preprocessing import MODES


def frozen_graph(network: Network) -> Any:
    """The graph of a network: uint8 pixels ``(rows, height, width, channels)`` to a list of float32 outputs.

    Preprocessing is part of it, so that the processor's threads do it and bytes are all that is copied. Weights are
    constants from the start: TensorFlow then folds BatchNorm into convolutions, and taking a graph of variables
    apart afterwards would take three times as long.
    """
    model, look = network.model(), network.look
    trainable = [variable.numpy() for variable in model.trainable_variables]
    others = [variable.numpy() for variable in model.non_trainable_variables]

    def forward(pixels: Any) -> list[Any]:
        inputs = MODES[look.preprocessing](tf.cast(pixels, tf.float32))
        if look.channels_first:
            inputs = tf.transpose(inputs, (0, 3, 1, 2))
        constants = [[tf.constant(value) for value in values] for values in (trainable, others)]
        with natively(model):
            outputs, _ = model.stateless_call(*constants, inputs, training=False)
        return [tf.cast(output, tf.float32) for output in tf.nest.flatten(outputs)]

    signature = tf.TensorSpec((None, *look.size, look.channels), tf.uint8, name="pixels")
    return tf.function(forward, input_signature=[signature], autograph=False).get_concrete_function()

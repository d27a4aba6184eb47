"""Run a Keras model forward as one TensorFlow graph."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf  # for tf.function: keras has no word for calling a model as a graph


class KerasEngine:
    """A model in inference mode; ``model.predict`` does the same and starts anew for every call.

    Args:
        model: A Keras model with one input and one output.
    """

    def __init__(self, model: Any) -> None:
        signature = tf.TensorSpec((None, *model.input_shape[1:]), tf.float32)
        self._forward = tf.function(
            lambda inputs: model(inputs, training=False), input_signature=[signature]
        ).get_concrete_function()
        self._model = model  # the graph reads the model's variables; they must live as long

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        """Outputs of the model.

        Args:
            inputs: ``(rows, height, width, channels)`` float32, as the model's preprocessing leaves them.

        Returns:
            ``(rows, …)`` float32.
        """
        return self._forward(tf.constant(inputs)).numpy()

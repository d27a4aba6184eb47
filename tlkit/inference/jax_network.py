"""A network as JAX compiles it."""

from __future__ import annotations

from typing import Any

import numpy as np

from tlkit.backend import jax, keras_scope
from tlkit.inference.lazy_model import LazyModel
from tlkit.inference.mixed_precision import mixed_precision_scope
from tlkit.keras_private import flatten_layers


class JaxNetwork:
    """A network compiled by JAX; see :class:`tlkit.inference.keras_engine.CompiledNetwork`.

    Pixels are copied to the device as they are, bytes, and normalized there. It is compiled once for each batch size.
    """

    def __init__(self, network: LazyModel, precision: str = "float32") -> None:
        model, preprocessor = network.model(), network.preprocessor
        self._weights = [
            [jax.device_put(variable.numpy()) for variable in variables]  # of this process alone
            for variables in (model.trainable_variables, model.non_trainable_variables)
        ]

        @keras_scope()
        def forward(weights: Any, pixels: Any) -> list[Any]:
            inputs = preprocessor.normalize(pixels.astype("float32"))
            if preprocessor.data_format == "channels_first":
                inputs = inputs.transpose(0, 3, 1, 2)
            with mixed_precision_scope(precision, flatten_layers(model)):
                outputs, _ = model.stateless_call(*weights, inputs, training=False)
            return [output.astype("float32") for output in jax.tree.leaves(outputs)]

        self._forward = jax.jit(forward)
        one = jax.ShapeDtypeStruct((1, *preprocessor.size, preprocessor.channels), preprocessor.dtype)
        self.shapes = tuple(tuple(output.shape[1:]) for output in jax.eval_shape(forward, self._weights, one))

    def __call__(self, pixels: np.ndarray) -> list[np.ndarray]:
        """Return the float32 outputs for pixels ``(batch, height, width, channels)``."""
        return [np.asarray(output) for output in self._forward(self._weights, jax.device_put(pixels))]

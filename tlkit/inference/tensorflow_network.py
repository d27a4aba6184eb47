"""A network as a frozen TensorFlow graph."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from tlkit.backend import tf
from tlkit.inference.frozen_graph import frozen_graph
from tlkit.inference.lazy_model import LazyModel

FOLDED = 400 * 2**20
"""Bytes of weights up to which they become constants of the graph: those of ConvNeXtLarge would take 12 GB."""


class TensorFlowNetwork:
    """A network compiled by TensorFlow; see :class:`tlkit.inference.keras_engine.CompiledNetwork`."""

    def __init__(self, network: LazyModel, precision: str = "float32") -> None:
        weights = sum(variable.numpy().nbytes for variable in network.model().variables)
        self._graph, self._precision = frozen_graph(network, fold=weights <= FOLDED), precision
        self.shapes = tuple(tuple(output.shape[1:]) for output in self._graph.outputs)

    def __call__(self, pixels: np.ndarray) -> list[np.ndarray]:
        """Return the float32 outputs for pixels ``(batch, height, width, channels)``."""
        with bf16_graph_rewrite(self._precision):
            return [output.numpy() for output in self._graph(tf.constant(pixels))]


@contextmanager
def bf16_graph_rewrite(precision: str) -> Iterator[None]:
    """Have TensorFlow rewrite graphs that run inside the block to bfloat16, if that is ``precision``.

    TensorFlow reads this option whenever a graph is called, for the whole process.
    """
    if precision == "float32":
        yield
        return
    name, options = "auto_mixed_precision_onednn_bfloat16", tf.config.optimizer
    before = options.get_experimental_options().get(name, False)
    options.set_experimental_options({name: True})
    try:
        yield
    finally:
        options.set_experimental_options({name: before})

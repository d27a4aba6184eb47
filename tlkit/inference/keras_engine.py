"""Run a network as a frozen TensorFlow graph, which is faster than ``model.predict``."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np

from tlkit.backend import tf
from tlkit.inference.base import Outputs
from tlkit.inference.frozen_graph import frozen_graph
from tlkit.inference.lazy_model import LazyModel

BATCH = 16
"""Size of every batch that the graph runs, padded with zeros: with another size an image may round differently."""


FOLDED = 400 * 2**20
"""Bytes of weights up to which they become constants of the graph: those of ConvNeXtLarge would take 12 GB."""


class KerasEngine:
    """The ``keras`` engine; see :class:`tlkit.inference.base.Engine`."""

    name = "keras"
    batch = BATCH

    def __init__(self, network: LazyModel, precision: str = "float32") -> None:
        self.precision = precision
        weights = sum(variable.numpy().nbytes for variable in network.model().variables)
        self._graph = frozen_graph(network, fold=weights <= FOLDED)
        self.shapes = tuple(tuple(output.shape[1:]) for output in self._graph.outputs)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="keras-engine")

    def submit(self, pixels: np.ndarray) -> Future[Outputs]:
        """Start on pixels ``(batch, height, width, channels)``; see :meth:`tlkit.inference.base.Engine.submit`."""
        return self._thread.submit(self._run, pixels)

    def _run(self, pixels: np.ndarray) -> Outputs:
        parts = []
        for start in range(0, len(pixels), BATCH):
            part = pixels[start : start + BATCH]
            size = len(part)
            if size < BATCH:
                part = np.concatenate([part, np.zeros((BATCH - size, *part.shape[1:]), part.dtype)])
            with bf16_graph_rewrite(self.precision):
                parts.append([output.numpy()[:size] for output in self._graph(tf.constant(part))])
        if not parts:
            return tuple(np.empty((0, *shape), np.float32) for shape in self.shapes)
        return tuple(np.concatenate(arrays) for arrays in zip(*parts, strict=True))


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

"""Run a network as a TensorFlow graph with its weights folded in, which ``model.predict`` does not."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np

from tlkit.backend import tf
from tlkit.inference.base import Outputs
from tlkit.inference.frozen_graph import frozen_graph
from tlkit.inference.lazy_model import LazyModel

ROWS = 16
"""Rows that the graph is given at a time, always: a fuller or emptier batch may round otherwise."""


class KerasEngine:
    """The ``keras`` engine; see :class:`tlkit.inference.base.Engine`."""

    name = "keras"
    batch = ROWS

    def __init__(self, network: LazyModel, precision: str = "float32") -> None:
        self.precision = precision
        self._graph = frozen_graph(network)
        self.shapes = tuple(tuple(output.shape[1:]) for output in self._graph.outputs)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="keras-engine")

    def submit(self, pixels: np.ndarray) -> Future[Outputs]:
        """Start on values ``(rows, height, width, channels)``."""
        return self._thread.submit(self._run, pixels)

    def _run(self, pixels: np.ndarray) -> Outputs:
        parts = []
        for start in range(0, len(pixels), ROWS):
            part = pixels[start : start + ROWS]
            rows = len(part)
            if rows < ROWS:
                part = np.concatenate([part, np.zeros((ROWS - rows, *part.shape[1:]), part.dtype)])
            with bf16_graph_rewrite(self.precision):
                parts.append([output.numpy()[:rows] for output in self._graph(tf.constant(part))])
        if not parts:
            return tuple(np.empty((0, *shape), np.float32) for shape in self.shapes)
        return tuple(np.concatenate(arrays) for arrays in zip(*parts, strict=True))


@contextmanager
def bf16_graph_rewrite(precision: str) -> Iterator[None]:
    """TensorFlow reads this option at each call of a graph, and it holds for the whole process."""
    if precision == "float32":
        yield
        return
    options = tf.config.optimizer
    options.set_experimental_options({"auto_mixed_precision_onednn_bfloat16": True})
    try:
        yield
    finally:
        options.set_experimental_options({"auto_mixed_precision_onednn_bfloat16": False})

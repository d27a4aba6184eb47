"""Run a network as Keras's backend compiles it, which is faster than ``model.predict``."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

import numpy as np

from tlkit.backend import NAME, is_out_of_memory
from tlkit.errors import TlkitError
from tlkit.inference.base import Outputs
from tlkit.inference.lazy_model import LazyModel
from tlkit.utils.compute import uses_gpu
from tlkit.utils.logging import logger

BATCH, GPU_BATCH = 16, 128
"""Size of every batch that the network runs, padded with zeros: with another size an image may round differently."""


class CompiledNetwork(Protocol):
    """A network that a backend has compiled."""

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shape of each output, without the batch."""
        ...

    def __call__(self, pixels: np.ndarray) -> list[np.ndarray]:
        """Return the float32 outputs for pixels ``(batch, height, width, channels)``."""
        ...


def _compile(network: LazyModel, precision: str) -> CompiledNetwork:
    if NAME == "tensorflow":
        from tlkit.inference.tensorflow_network import TensorFlowNetwork

        return TensorFlowNetwork(network, precision)
    from tlkit.inference.jax_network import JaxNetwork

    return JaxNetwork(network, precision)


class KerasEngine:
    """The ``keras`` engine; see :class:`tlkit.inference.base.Engine`.

    On a GPU, batches are half as large where its memory does not suffice, and the next one is copied there while one is
    computed.
    """

    name = "keras"

    def __init__(self, network: LazyModel, precision: str = "float32") -> None:
        self.precision = precision
        self._compiled = _compile(network, precision)
        self.shapes = self._compiled.shapes
        gpu = uses_gpu()
        self.batch = GPU_BATCH if gpu else BATCH
        self._threads = ThreadPoolExecutor(2 if gpu else 1, thread_name_prefix="keras-engine")

    def submit(self, pixels: np.ndarray) -> Future[Outputs]:
        """Start on pixels ``(batch, height, width, channels)``; see :meth:`tlkit.inference.base.Engine.submit`."""
        return self._threads.submit(self._run, pixels)

    def _run(self, pixels: np.ndarray) -> Outputs:
        size, start, parts = self.batch, 0, []
        while start < len(pixels):
            try:
                parts.append(self._run_part(pixels[start : start + size], size))
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
                if size == 1:
                    raise TlkitError(
                        "The memory of the device does not suffice for this network and a single image.",
                        hint="Use a smaller --size or --arch, or --device cpu.",
                    ) from error
                size = self.batch = min(self.batch, size // 2)  # the other thread may have found it too
                logger.warning("The memory of the device does not suffice: batches of %d from here on.", size)
                continue
            start += size
        if not parts:
            return tuple(np.empty((0, *shape), np.float32) for shape in self.shapes)
        return tuple(np.concatenate(arrays) for arrays in zip(*parts, strict=True))

    def _run_part(self, pixels: np.ndarray, size: int) -> list[np.ndarray]:
        number = len(pixels)
        if number < size:
            pixels = np.concatenate([pixels, np.zeros((size - number, *pixels.shape[1:]), pixels.dtype)])
        return [output[:number] for output in self._compiled(pixels)]

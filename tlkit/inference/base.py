"""The interface of inference: a network, run forward on batches, whatever runs it."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Protocol

import numpy as np

Outputs = tuple[np.ndarray, ...]
"""One array per output of the network, ``(batch, …)`` float32."""


class Engine(Protocol):
    """A network in inference mode. The outputs of a sample depend on that sample alone, never on its batch."""

    name: str
    """``keras`` or ``openvino``."""
    precision: str
    """``float32`` or ``bfloat16``."""
    shapes: tuple[tuple[int, ...], ...]
    """Shape of each output, without the batch."""
    batch: int
    """Default batch size: enough to keep the engine busy; a larger one only loses more work when it is interrupted."""

    def submit(self, pixels: np.ndarray) -> Future[Outputs]:
        """Start on a batch.

        Args:
            pixels: ``(batch, height, width, channels)``, as the preprocessor's ``to_array`` returns them; not to be
                changed before the result is there.

        Returns:
            The outputs, in the order of ``pixels``.
        """
        ...


def run(engine: Engine, pixels: np.ndarray) -> Outputs:
    """Return the outputs for a batch ``(batch, height, width, channels)``; wait for them."""
    return engine.submit(pixels).result()

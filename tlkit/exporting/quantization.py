"""Quantize a network to int8, and find what it does not bear: what ONNX and LiteRT have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np

from tlkit.config import ExportFormat
from tlkit.inference.exported.engines import open_runtime
from tlkit.utils.logging import logger

_GROUPS, _MOST_IN_FLOAT = 8, 4
"""Parts of the network that are tried in float, one after the other, and how many of them are left so at most."""
_PROBED = 32
"""Images that tell what a part in float brings."""


class Quantizer(ABC):
    """Quantizes a network: activations and weights of eight bits, each output channel with a scale of its own.

    Args:
        network: A file in float32.
        images: ``(images, height, width, channels)`` uint8: what tells the range of each tensor.

    Attributes:
        kind: Its format.
        ends: Names of the first and the last layer, which stay in float always: they cost little time and lose most.
        between: Names of what lies between them, in order.
    """

    kind: ClassVar[ExportFormat]

    def __init__(self, network: Path, images: np.ndarray) -> None:
        self._network, self._images = network, images
        self.ends: list[str] = []
        self.between: list[str] = []

    @abstractmethod
    def write(self, target: Path, in_float: Sequence[str]) -> None:
        """Write the quantized network.

        Args:
            target: The file.
            in_float: Names of what stays as it is.
        """

    @abstractmethod
    def layers(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return those of ``names`` that have weights, as Keras calls them."""

    def attempts(self) -> Iterator[list[str]]:
        """Yield, attempt by attempt, what to leave in float: the ends, then also the parts that gain most by it."""
        yield self.ends
        logger.info("Looking for the layers that lose most.")
        parts = [part.tolist() for part in np.array_split(self.between, _GROUPS) if len(part)]
        images = self._images[:_PROBED]
        exact, probe = self._run(self._network, images), self._network.with_stem("probe")
        apart = []
        for part in parts:
            self.write(probe, [*self.ends, *part])
            apart.append(float(np.abs(self._run(probe, images) - exact).mean()))
        order = np.argsort(apart, kind="stable").tolist()
        for count in range(1, min(_MOST_IN_FLOAT, len(parts)) + 1):
            yield [*self.ends, *(name for number in sorted(order[:count]) for name in parts[number])]

    def _run(self, network: Path, images: np.ndarray) -> np.ndarray:
        run = open_runtime(network, self.kind)
        return np.concatenate([run(images[number : number + 1]) for number in range(len(images))])

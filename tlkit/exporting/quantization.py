"""Quantize a network to int8, and find what it does not bear: what ONNX and LiteRT have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np

from tlkit.config import ExportFormat
from tlkit.errors import ModelError
from tlkit.inference.exported.engines import open_runtime
from tlkit.utils.logging import logger

_GROUPS, _MOST_IN_FLOAT = 8, 4
"""Parts of the network that are tried in float, one after the other, and how many of them are left so at most."""
_FEWEST_LAYERS = 2
"""Layers with weights of which none is left in float from the start."""
_PROBED = 32
"""Images that tell what a part in float brings."""


class Quantizer(ABC):
    """Quantizes a network: activations and weights of eight bits, each output channel with a scale of its own.

    Args:
        network: A file in float32.
        images: ``(1, height, width, channels)`` uint8 each: what tells the range of each tensor.

    Attributes:
        kind: Its format.
        ends: Names of the first and the last layer, which stay in float always: they cost little time and lose most.
            Empty where there are no others.
        between: Names of what lies between them, in order.
    """

    kind: ClassVar[ExportFormat]

    def __init__(self, network: Path, images: Sequence[np.ndarray]) -> None:
        self._network, self._images = network, images
        self.ends: list[str] = []
        self._around: list[str] = []
        self.between: list[str] = []

    def _divide(self, names: Sequence[str], layers: Sequence[str]) -> None:
        """Find the ends, and what is before and behind them, which resizes and scales pixels and makes probabilities.

        Args:
            names: Of all operations, in order.
            layers: Those with weights.

        Raises:
            ModelError: None has.
        """
        if not layers:
            raise ModelError("--precision int8 has nothing to quantize: no layer has weights.", hint="Leave it out.")
        first, last = names.index(layers[0]), names.index(layers[-1])
        self._around = [*names[:first], *names[last + 1 :]]
        if len(layers) > _FEWEST_LAYERS:
            self.ends, self.between = [layers[0], layers[-1]], list(names[first + 1 : last])
        else:
            self.between = list(layers)

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
        images = [self._images[number] for number in range(min(_PROBED, len(self._images)))]
        exact, probe = self._run(self._network, images), self._network.with_stem("probe")
        apart = []
        for part in parts:
            self.write(probe, [*self.ends, *part])
            apart.append(float(np.abs(self._run(probe, images) - exact).mean()))
        order = np.argsort(apart, kind="stable").tolist()
        for count in range(1, min(_MOST_IN_FLOAT, len(parts)) + 1):
            yield [*self.ends, *(name for number in sorted(order[:count]) for name in parts[number])]

    def _run(self, network: Path, images: Sequence[np.ndarray]) -> np.ndarray:
        run = open_runtime(network, self.kind)
        return np.concatenate([run(image) for image in images])

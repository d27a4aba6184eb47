"""Quantize an ONNX network to int8, and leave in float what does not bear it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnxruntime import quantization

from tlkit.inference.exported.engines import open_runtime
from tlkit.utils.logging import logger
from tlkit.utils.quiet import stderr_held_back

_LAYERS = ("Conv", "MatMul", "Gemm", "ConvTranspose")
_GROUPS, _MOST_IN_FLOAT = 8, 4
"""Parts of the network that are tried in float, one after the other, and how many of them are left so at most."""
_PROBED = 32
"""Images that tell what a part in float brings."""


class _Reader(quantization.CalibrationDataReader):
    """Hands the calibration images to onnxruntime, one after the other."""

    def __init__(self, images: np.ndarray) -> None:
        self._rows = (images[number : number + 1] for number in range(len(images)))

    def get_next(self) -> dict[str, np.ndarray] | None:
        """Return the next input; None after the last."""
        image = next(self._rows, None)
        return None if image is None else {"images": image}


class Quantizer:
    """Quantizes a network: uint8 activations, int8 weights, each output channel with a scale of its own.

    Args:
        network: An ONNX file in float32. What is known of its tensors is remembered beside it.
        images: ``(images, height, width, channels)`` uint8: what tells the range of each tensor.
    """

    def __init__(self, network: Path, images: np.ndarray) -> None:
        self._network, self._images = network, images
        model = onnx.load(network)
        names = [node.name for node in model.graph.node]
        self.layers = _layers(model)
        first, last = names.index(self.layers[0]), names.index(self.layers[-1])
        # what resizes and scales pixels, and what makes probabilities
        self._around = [*names[:first], *names[last + 1 :]]

    def write(self, target: Path, in_float: Sequence[str]) -> None:
        """Write the quantized network.

        Args:
            target: The file.
            in_float: Names of the layers that stay as they are.
        """
        with stderr_held_back():
            quantization.quantize_static(
                self._network, target, _Reader(self._images),
                quant_format=quantization.QuantFormat.QDQ,
                activation_type=quantization.QuantType.QUInt8,
                weight_type=quantization.QuantType.QInt8,
                per_channel=True,
                nodes_to_exclude=[*self._around, *in_float],
                extra_options={"CalibMovingAverage": True},
                calibration_cache_path=self._network.with_suffix(".ranges.json"),
            )  # fmt: skip

    def attempts(self) -> Iterator[list[str]]:
        """Yield, attempt by attempt, the layers to leave in float: the ends, then also what gains most by it."""
        ends = [self.layers[0], self.layers[-1]]
        yield ends
        logger.info("Looking for the layers that lose most.")
        parts = [part.tolist() for part in np.array_split(self.layers[1:-1], _GROUPS) if len(part)]
        images = self._images[:_PROBED]
        exact, probe = _run(self._network, images), self._network.with_name("probe.onnx")
        apart = []
        for part in parts:
            self.write(probe, [*ends, *part])
            apart.append(float(np.abs(_run(probe, images) - exact).mean()))
        order = np.argsort(apart, kind="stable").tolist()
        for count in range(1, min(_MOST_IN_FLOAT, len(parts)) + 1):
            yield [*ends, *(name for number in sorted(order[:count]) for name in parts[number])]


def _run(network: Path, images: np.ndarray) -> np.ndarray:
    run = open_runtime(network, "onnx")
    return np.concatenate([run(images[number : number + 1]) for number in range(len(images))])


def _layers(model: Any) -> list[str]:
    """Return the names of the operations that have weights."""
    weights = {tensor.name for tensor in model.graph.initializer}
    return [node.name for node in model.graph.node if node.op_type in _LAYERS and node.input[1] in weights]

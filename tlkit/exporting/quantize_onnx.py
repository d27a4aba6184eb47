"""Quantize an ONNX network with onnxruntime; what it writes runs in OpenVINO too."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnxruntime import quantization

from tlkit.exporting.quantization import Quantizer
from tlkit.utils.quiet import stderr_held_back

_LAYERS = ("Conv", "MatMul", "Gemm", "ConvTranspose")


class _Reader(quantization.CalibrationDataReader):
    """Hands the calibration images to onnxruntime, one after the other."""

    def __init__(self, images: Sequence[np.ndarray]) -> None:
        self._images = (images[number] for number in range(len(images)))

    def get_next(self) -> dict[str, np.ndarray] | None:
        """Return the next input; None after the last."""
        image = next(self._images, None)
        return None if image is None else {"images": image}


class ONNXQuantizer(Quantizer):
    """A :class:`Quantizer` of ONNX: uint8 activations, int8 weights. Ranges are remembered beside the network."""

    kind = "onnx"

    def __init__(self, network: Path, images: Sequence[np.ndarray]) -> None:
        super().__init__(network, images)
        graph = onnx.load(network).graph
        weights = {tensor.name for tensor in graph.initializer}
        layers = [node.name for node in graph.node if node.op_type in _LAYERS and node.input[1] in weights]
        self._divide([node.name for node in graph.node], layers)
        self.between = [name for name in self.between if name in layers]

    def write(self, target: Path, in_float: Sequence[str]) -> None:
        """Write the quantized network."""
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

    def layers(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return layers of Keras: tlkit's compiler names nodes ``model/layer``, the second one ``model/layer:1``."""
        return tuple(dict.fromkeys(name.rpartition("/")[2].partition(":")[0] for name in names))

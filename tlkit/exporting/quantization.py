"""Quantize an ONNX network to int8, and leave in float what does not bear it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnxruntime import quantization

from tlkit.utils.quiet import stderr_held_back

_RANKED_ON = 8
_LAYERS = ("Conv", "MatMul", "Gemm", "ConvTranspose")
_SHARES_IN_FLOAT = (0.0, 0.1, 0.25, 0.5)
"""Shares of the layers that are left in float, tried in this order."""


class _Reader(quantization.CalibrationDataReader):
    """Hands the calibration images to onnxruntime, one after the other."""

    def __init__(self, images: np.ndarray) -> None:
        self._rows = (images[number : number + 1] for number in range(len(images)))

    def get_next(self) -> dict[str, np.ndarray] | None:
        """Return the next input; None after the last."""
        image = next(self._rows, None)
        return None if image is None else {"images": image}


def layers_in_float(network: Path, images: np.ndarray) -> Iterator[list[str]]:
    """Yield, for one attempt after the other, the layers to leave in float: the ends, then those that bear it least.

    Args:
        network: An ONNX file in float32.
        images: ``(images, height, width, channels)`` uint8, to rank the layers on.
    """
    model = onnx.load(network)
    layers = [node.name for node in _layers(model)]
    ends = [layers[0], layers[-1]]
    ranked: list[str] = []
    for share in _SHARES_IN_FLOAT:
        if share and not ranked:
            ranked = [name for name in _rank(model, images[:_RANKED_ON]) if name not in ends]
        yield [*ends, *ranked[: round(share * len(layers))]]


def quantize(network: Path, target: Path, images: np.ndarray, in_float: Sequence[str]) -> None:
    """Write a network with uint8 activations and int8 weights, each output channel with a scale of its own.

    Args:
        network: An ONNX file in float32.
        target: The file to write.
        images: ``(images, height, width, channels)`` uint8: what tells the range of each tensor.
        in_float: Names of the layers that stay as they are.
    """
    model = onnx.load(network)
    names = [node.name for node in model.graph.node]
    layers = [node.name for node in _layers(model)]
    first, last = names.index(layers[0]), names.index(layers[-1])
    around = [*names[:first], *names[last + 1 :]]  # what resizes and scales pixels, and what makes probabilities
    with stderr_held_back():
        quantization.quantize_static(
            network, target, _Reader(images),
            quant_format=quantization.QuantFormat.QDQ,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            per_channel=True,
            nodes_to_exclude=[*around, *in_float],
            extra_options={"CalibMovingAverage": True},
        )  # fmt: skip


def _layers(model: Any) -> list[Any]:
    """Return the operations that have weights."""
    weights = {tensor.name for tensor in model.graph.initializer}
    return [node for node in model.graph.node if node.op_type in _LAYERS and node.input[1] in weights]


def _rank(model: Any, images: np.ndarray) -> list[str]:
    """Return the layers, those first whose input and weights lose most where they are rounded to eight bits."""
    arrays = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    layers = _layers(model)
    wanted = sorted({node.input[0] for node in layers} - {each.name for each in model.graph.input})
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    del probe.graph.output[:]
    probe.graph.output.extend(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in wanted)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(probe.SerializeToString(), options, providers=["CPUExecutionProvider"])
    lost: dict[str, list[float]] = {}
    for number in range(len(images)):
        for name, values in zip(wanted, session.run(wanted, {"images": images[number : number + 1]}), strict=True):
            lost.setdefault(name, []).append(_noise(values.min(), values.max(), np.square(values).mean()))
    weights = {}
    for node in layers:
        kernel = arrays[node.input[1]]
        last = node.op_type in ("MatMul", "Gemm")
        rows = np.moveaxis(kernel, -1, 0).reshape(kernel.shape[-1], -1) if last else kernel.reshape(len(kernel), -1)
        limit = np.abs(rows).max(axis=1)
        weights[node.name] = float(np.median(_noise(-limit, limit, np.square(rows).mean(axis=1))))
    noise = {node.name: weights[node.name] + float(np.mean(lost.get(node.input[0], [0.0]))) for node in layers}
    return sorted(noise, key=lambda name: -noise[name])


def _noise(low: Any, high: Any, power: Any) -> Any:
    """Return the power of the error of rounding to 255 steps, as a share of that of the values."""
    step = (np.maximum(high, 0) - np.minimum(low, 0)) / 255
    return np.square(step) / 12 / np.maximum(power, 1e-12)

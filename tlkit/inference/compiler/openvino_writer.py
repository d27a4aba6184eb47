"""Emit a network for OpenVINO."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tlkit.inference.compiler.writer import Axes
from tlkit.inference.openvino_runtime import openvino

ops = openvino.opset13

_UNARY = {
    "abs": ops.abs, "ceil": ops.ceiling, "cos": ops.cos, "erf": ops.erf, "exp": ops.exp, "floor": ops.floor,
    "log": ops.log, "negative": ops.negative, "relu": ops.relu, "sigmoid": ops.sigmoid, "sign": ops.sign,
    "sin": ops.sin, "softplus": ops.softplus, "sqrt": ops.sqrt, "tanh": ops.tanh,
}  # fmt: skip
_BINARY = {
    "add": ops.add, "subtract": ops.subtract, "multiply": ops.multiply, "divide": ops.divide,
    "maximum": ops.maximum, "minimum": ops.minimum, "power": ops.power,
}  # fmt: skip
_REDUCE = {
    "mean": ops.reduce_mean, "max": ops.reduce_max, "min": ops.reduce_min, "sum": ops.reduce_sum,
    "prod": ops.reduce_prod,
}  # fmt: skip


class OpenVINOWriter:
    """A :class:`tlkit.inference.compiler.writer.Writer` of OpenVINO operations."""

    def parameter(self, shape: Sequence[int], dtype: str) -> Any:
        """Emit the input; -1 for a batch of any size."""
        return ops.parameter(list(shape), np.dtype(dtype).type, name="pixels").output(0)

    def to_float(self, x: Any) -> Any:
        """Emit the conversion to float32."""
        return ops.convert(x, "f32").output(0)

    def side(self, x: Any, axis: int) -> Any:
        """Emit the length of an axis, float32."""
        return self.to_float(ops.gather(ops.shape_of(x), self._integers([axis]), self._integers([0])))

    def count_to(self, length: Any) -> Any:
        """Emit 0, 1, 2 and so on below a length, float32."""
        scalar = ops.squeeze(length, self._integers([0]))
        zero, one = (self.constant(np.float32(value)) for value in (0, 1))
        return ops.range(zero, scalar, one, "f32").output(0)

    def model(self, parameter: Any, outputs: Sequence[Any]) -> openvino.Model:
        """Return the model from an input to outputs."""
        return openvino.Model(list(outputs), [parameter.get_node()], "network")

    def begin_layer(self, name: str) -> None:
        """OpenVINO names its operations itself."""

    def constant(self, values: np.ndarray | np.floating[Any]) -> Any:
        """Emit constants, without a copy of large ones."""
        values = np.require(values, requirements=("C", "W"))  # OpenVINO refuses to share what is read-only
        return openvino.op.Constant(values, shared_memory=values.ndim > 0).output(0)

    def _integers(self, values: Axes) -> Any:
        return openvino.op.Constant(np.array(values, np.int64)).output(0)

    def unary(self, operation: str, x: Any) -> Any:
        """See the protocol, as for all that follow."""
        return _UNARY[operation](x).output(0)

    def binary(self, operation: str, x: Any, y: Any) -> Any:
        """Emit a binary operation."""
        return _BINARY[operation](x, y).output(0)

    def clip(self, x: Any, low: float, high: float) -> Any:
        """Emit a clamp."""
        return ops.clamp(x, float(low), float(high)).output(0)

    def elu(self, x: Any, alpha: float) -> Any:
        """Emit an ELU."""
        return ops.elu(x, float(alpha)).output(0)

    def softmax(self, x: Any, axis: int) -> Any:
        """Emit a softmax."""
        return ops.softmax(x, axis).output(0)

    def matmul(self, x: Any, y: Any) -> Any:
        """Emit a matrix product."""
        return ops.matmul(x, y, False, False).output(0)

    def convolve(
        self, x: Any, kernel: np.ndarray, strides: Axes, begin: Axes, end: Axes, dilation: Axes, groups: int
    ) -> Any:
        """Emit a convolution."""
        rank = kernel.ndim - 2
        kernel = np.transpose(kernel, (rank + 1, rank, *range(rank)))
        settings = list(strides), list(begin), list(end), list(dilation)
        if groups == 1:
            return ops.convolution(x, self.constant(kernel), *settings).output(0)
        grouped = kernel.reshape(groups, kernel.shape[0] // groups, *kernel.shape[1:])
        return ops.group_convolution(x, self.constant(grouped), *settings).output(0)

    def convolve_transposed(
        self, x: Any, kernel: np.ndarray, strides: Axes, begin: Axes, end: Axes, extra: Axes
    ) -> Any:
        """Emit a transposed convolution."""
        rank = kernel.ndim - 2
        turned = self.constant(np.transpose(kernel, (rank + 1, rank, *range(rank))))
        return ops.convolution_backprop_data(
            x, turned, list(strides), None, list(begin), list(end), [1] * rank, None, list(extra)
        ).output(0)

    def pool(self, how: str, x: Any, size: Axes, strides: Axes, begin: Axes, end: Axes) -> Any:
        """Emit pooling."""
        if how == "avg":
            return ops.avg_pool(x, list(strides), list(begin), list(end), list(size), True).output(0)
        dilation = [1] * len(size)
        return ops.max_pool(x, list(strides), dilation, list(begin), list(end), list(size)).output(0)

    def reduce(self, how: str, x: Any, axes: Axes, *, keepdims: bool) -> Any:
        """Emit a reduction."""
        return _REDUCE[how](x, self._integers(axes), keepdims).output(0)

    def reshape(self, x: Any, shape: Sequence[int]) -> Any:
        """Emit a reshape."""
        return ops.reshape(x, self._integers(shape), False).output(0)

    def transpose(self, x: Any, axes: Axes) -> Any:
        """Emit a transposition."""
        return ops.transpose(x, self._integers(axes)).output(0)

    def concatenate(self, tensors: Sequence[Any], axis: int) -> Any:
        """Emit a concatenation."""
        return ops.concat(list(tensors), axis).output(0)

    def pad(self, x: Any, begin: Axes, end: Axes, mode: str = "constant", value: float = 0.0) -> Any:
        """Emit padding."""
        fill = self.constant(np.float32(value)) if mode == "constant" else None
        return ops.pad(x, self._integers(begin), self._integers(end), mode, fill).output(0)

    def gather(self, x: Any, indices: Sequence[int], axis: int) -> Any:
        """Emit a gathering."""
        return ops.gather(x, self._integers(indices), self._integers([axis])).output(0)

    def slice(self, x: Any, axis: int, start: int, stop: int, step: int = 1) -> Any:
        """Emit a slice."""
        parts = (self._integers([value]) for value in (start, stop, step, axis))
        return ops.slice(x, *parts).output(0)

    def resize(self, x: Any, size: Axes, how: str) -> Any:
        """Emit an interpolation."""
        mode, coordinates = {"nearest": ("nearest", "asymmetric"), "bilinear": ("linear_onnx", "half_pixel")}[how]
        return ops.interpolate(
            x, self._integers(size), mode, "sizes", coordinate_transformation_mode=coordinates, nearest_mode="floor",
            axes=self._integers([2, 3]),
        ).output(0)  # fmt: skip

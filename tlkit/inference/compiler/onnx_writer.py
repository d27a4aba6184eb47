"""Emit a network as ONNX."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tlkit.inference.compiler.onnx_fold import Node, fold_constants
from tlkit.inference.compiler.writer import Axes

OPSET, IR_VERSION = 17, 8
"""What onnxruntime reads since 1.12, and OpenCV, OpenVINO and Triton of the same years."""

_UNARY = {
    "abs": "Abs", "ceil": "Ceil", "cos": "Cos", "erf": "Erf", "exp": "Exp", "floor": "Floor", "log": "Log",
    "negative": "Neg", "relu": "Relu", "sigmoid": "Sigmoid", "sign": "Sign", "sin": "Sin", "softplus": "Softplus",
    "sqrt": "Sqrt", "tanh": "Tanh",
}  # fmt: skip
_BINARY = {
    "add": "Add", "subtract": "Sub", "multiply": "Mul", "divide": "Div", "maximum": "Max", "minimum": "Min",
    "power": "Pow",
}  # fmt: skip
_REDUCE = {"mean": "ReduceMean", "max": "ReduceMax", "min": "ReduceMin", "prod": "ReduceProd"}


class ONNXWriter:
    """A :class:`tlkit.inference.compiler.writer.Writer` of ONNX operations; a tensor is its name."""

    def __init__(self) -> None:
        self._nodes: list[Node] = []
        self._constants: dict[str, np.ndarray] = {}
        self._layer = ""
        self._named: Counter[str] = Counter()
        self._small: dict[tuple[str, tuple[int, ...], bytes], str] = {}

    def model(
        self, outputs: Sequence[str], *, input_shape: Sequence[int | str], output: tuple[str, Sequence[int | str]],
        name: str, half: bool = False,
    ) -> onnx.ModelProto:  # fmt: skip
        """Return the model from ``images`` to one output.

        Args:
            outputs: The tensor that is the output.
            input_shape: Of the images, a name for a side that is open.
            output: Name and shape of the output.
            name: Of the graph.
            half: Store large constants as float16; they are computed with as float32.
        """
        (last,) = outputs
        self._nodes.append(Node("Identity", [last], output[0], name=output[0]))
        nodes, constants = fold_constants(self._nodes, self._constants)
        used = {name for node in nodes for name in node.inputs}
        tensors: list[onnx.TensorProto] = []
        casts: list[onnx.NodeProto] = []
        for key, values in constants.items():
            if key in used:
                tensors.append(self._tensor(key, values, casts if half else None))
        graph = helper.make_graph(
            [*casts, *(helper.make_node(node.kind, node.inputs, [node.output], node.name, **node.settings)
                       for node in nodes)],
            name,
            [helper.make_tensor_value_info("images", TensorProto.UINT8, list(input_shape))],
            [helper.make_tensor_value_info(output[0], TensorProto.FLOAT, list(output[1]))],
            tensors,
        )  # fmt: skip
        opset = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(graph, opset_imports=opset, ir_version=IR_VERSION, producer_name="tlkit")
        onnx.checker.check_model(model)
        return model

    def _tensor(self, key: str, values: np.ndarray, casts: list[Any] | None) -> onnx.TensorProto:
        if casts is None or values.dtype != np.float32 or values.size < 64:
            return numpy_helper.from_array(np.asarray(values, order="C"), key)
        casts.append(helper.make_node("Cast", [f"{key}_half"], [key], f"{key}_cast", to=TensorProto.FLOAT))
        most = np.finfo(np.float16).max
        return numpy_helper.from_array(values.clip(-most, most).astype(np.float16), f"{key}_half")

    def begin_layer(self, name: str) -> None:
        """Name what follows after a layer of Keras."""
        self._layer = name

    def _emit(self, kind: str, *inputs: str, **settings: Any) -> str:
        output = f"{kind.lower()}_{len(self._nodes)}"
        count = self._named[self._layer]
        self._named[self._layer] += 1
        name = (f"{self._layer}:{count}" if count else self._layer) if self._layer else output
        self._nodes.append(Node(kind, list(inputs), output, settings, name))
        return output

    def _add_constant(self, values: np.ndarray) -> str:
        values = np.asarray(values)
        key = (str(values.dtype), values.shape, values.tobytes()) if values.size <= 16 else None
        if key is not None and key in self._small:
            return self._small[key]
        name = f"constant_{len(self._constants)}"
        self._constants[name] = values
        if key is not None:
            self._small[key] = name
        return name

    def _integers(self, values: Axes) -> str:
        return self._add_constant(np.array(values, np.int64))

    def to_float(self, x: str) -> str:
        """Emit the conversion to float32."""
        return self._emit("Cast", x, to=TensorProto.FLOAT)

    def side(self, x: str, axis: int) -> str:
        """Emit the length of an axis, float32."""
        lengths = self._emit("Shape", x)
        return self.to_float(self._emit("Gather", lengths, self._integers([axis]), axis=0))

    def count_to(self, length: str) -> str:
        """Emit 0, 1, 2 and so on below a length, float32."""
        scalar = self._emit("Squeeze", length, self._integers([0]))
        zero, one = (self.constant(np.float32(value)) for value in (0, 1))
        return self._emit("Range", zero, scalar, one)

    def constant(self, values: np.ndarray | np.floating[Any]) -> str:
        """See the protocol, as for all that follow."""
        return self._add_constant(np.asarray(values, np.float32))

    def unary(self, operation: str, x: str) -> str:
        """Emit a unary operation."""
        return self._emit(_UNARY[operation], x)

    def binary(self, operation: str, x: str, y: str) -> str:
        """Emit a binary operation."""
        return self._emit(_BINARY[operation], x, y)

    def clip(self, x: str, low: float, high: float) -> str:
        """Emit a clip."""
        return self._emit("Clip", x, self.constant(np.float32(low)), self.constant(np.float32(high)))

    def elu(self, x: str, alpha: float) -> str:
        """Emit an ELU."""
        return self._emit("Elu", x, alpha=float(alpha))

    def softmax(self, x: str, axis: int) -> str:
        """Emit a softmax."""
        return self._emit("Softmax", x, axis=axis)

    def matmul(self, x: str, y: str) -> str:
        """Emit a matrix product."""
        return self._emit("MatMul", x, y)

    def convolve(
        self, x: str, kernel: np.ndarray, strides: Axes, begin: Axes, end: Axes, dilation: Axes, groups: int
    ) -> str:
        """Emit a convolution."""
        rank = kernel.ndim - 2
        turned = self._add_constant(np.transpose(kernel, (rank + 1, rank, *range(rank))))
        return self._emit(
            "Conv", x, turned, kernel_shape=list(kernel.shape[:rank]), strides=list(strides), pads=[*begin, *end],
            dilations=list(dilation), group=groups,
        )  # fmt: skip

    def convolve_transposed(
        self, x: str, kernel: np.ndarray, strides: Axes, begin: Axes, end: Axes, extra: Axes
    ) -> str:
        """Emit a transposed convolution."""
        rank = kernel.ndim - 2
        turned = self._add_constant(np.transpose(kernel, (rank + 1, rank, *range(rank))))
        return self._emit(
            "ConvTranspose", x, turned, kernel_shape=list(kernel.shape[:rank]), strides=list(strides),
            pads=[*begin, *end], output_padding=list(extra),
        )  # fmt: skip

    def pool(self, how: str, x: str, size: Axes, strides: Axes, begin: Axes, end: Axes) -> str:
        """Emit pooling."""
        settings: dict[str, Any] = {"kernel_shape": list(size), "strides": list(strides), "pads": [*begin, *end]}
        if how == "avg":
            return self._emit("AveragePool", x, count_include_pad=0, **settings)
        return self._emit("MaxPool", x, **settings)

    def reduce(self, how: str, x: str, axes: Axes, *, keepdims: bool) -> str:
        """Emit a reduction."""
        if how == "sum":  # the only one whose axes are a tensor in this opset
            return self._emit("ReduceSum", x, self._integers(axes), keepdims=int(keepdims))
        return self._emit(_REDUCE[how], x, axes=list(axes), keepdims=int(keepdims))

    def reshape(self, x: str, shape: Sequence[int]) -> str:
        """Emit a reshape."""
        return self._emit("Reshape", x, self._integers(shape))

    def transpose(self, x: str, axes: Axes) -> str:
        """Emit a transposition."""
        return self._emit("Transpose", x, perm=list(axes))

    def concatenate(self, tensors: Sequence[str], axis: int) -> str:
        """Emit a concatenation."""
        return self._emit("Concat", *tensors, axis=axis)

    def pad(self, x: str, begin: Axes, end: Axes, mode: str = "constant", value: float = 0.0) -> str:
        """Emit padding."""
        if mode == "symmetric":  # reflect, but with the edge itself: none of ONNX's
            return self._pad_symmetric(x, begin, end)
        fill = [self.constant(np.float32(value))] if mode == "constant" else []
        return self._emit("Pad", x, self._integers([*begin, *end]), *fill, mode=mode)

    def _pad_symmetric(self, x: str, begin: Axes, end: Axes) -> str:
        for axis, (before, behind) in enumerate(zip(begin, end, strict=True)):
            parts = []
            if before:
                parts.append(self.slice(x, axis, before - 1, -(2**31), -1))
            parts.append(x)
            if behind:
                parts.append(self.slice(x, axis, -1, -behind - 1, -1))
            x = self.concatenate(parts, axis) if len(parts) > 1 else x
        return x

    def gather(self, x: str, indices: Sequence[int], axis: int) -> str:
        """Emit a gathering."""
        return self._emit("Gather", x, self._integers(indices), axis=axis)

    def slice(self, x: str, axis: int, start: int, stop: int, step: int = 1) -> str:
        """Emit a slice."""
        return self._emit("Slice", x, *(self._integers([value]) for value in (start, stop, axis, step)))

    def resize(self, x: str, size: Axes, how: str) -> str:
        """Emit an interpolation."""
        settings = {
            "nearest": {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
            "bilinear": {"mode": "linear", "coordinate_transformation_mode": "half_pixel"},
        }[how]
        start = self._emit("Slice", self._emit("Shape", x), self._integers([0]), self._integers([2]))
        sizes = self._emit("Concat", start, self._integers(size), axis=0)
        return self._emit("Resize", x, "", "", sizes, **settings)

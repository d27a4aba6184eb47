"""What every operation of ``keras.ops`` computes that a functional model may hold where no layer was used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tlkit.inference.compiler.activations import ELEMENTWISE, gelu, leaky_relu, log_softmax
from tlkit.inference.compiler.graph import constant_value
from tlkit.inference.compiler.layers.merging import alike, broadcast, concatenated
from tlkit.inference.compiler.layers.vectors import reshaped
from tlkit.inference.compiler.row import Layer, Table
from tlkit.inference.compiler.tensors import Tensor, constant_for, in_keras_order, with_handle

OPERATIONS = Table()
"""By class."""


def _argument(layer: Layer, position: int, name: str, default: Any = None) -> Any:
    """Return an argument of an operation, wherever Keras wrote it."""
    if position < len(layer.arguments):
        return layer.arguments[position]
    value = layer.keywords.get(name, layer.settings.get(name))
    return default if value is None else value


def _tensor(layer: Layer, position: int = 0, name: str = "x") -> Tensor:
    value = _argument(layer, position, name)
    if not isinstance(value, Tensor):
        raise layer.settings.unsupported(f"is called on {value!r}")
    return value


def _array(layer: Layer, value: Any) -> np.ndarray:
    """Return a constant argument."""
    array = constant_value(value)
    if array is None:
        raise layer.settings.unsupported(f"is called on {value!r}")
    return array


def _binary(operation: str, *kinds: str) -> None:
    @OPERATIONS.row(*kinds)
    def binary(layer: Layer) -> Tensor:
        one, other = (_argument(layer, place, name) for place, name in enumerate(("x1", "x2")))
        if isinstance(one, Tensor) and isinstance(other, Tensor):
            first, second = alike(layer, [one, other])
            handle = layer.writer.binary(operation, first.handle, second.handle)
            return Tensor(handle, broadcast([first.shape, second.shape]), first.moved)
        tensor, values = (one, other) if isinstance(one, Tensor) else (other, one)
        if not isinstance(tensor, Tensor):
            raise layer.settings.unsupported("is called on no tensor")
        array = _array(layer, values)
        if array.ndim > len(tensor.shape) + 1 or broadcast([(1, *tensor.shape), array.shape]) != (1, *tensor.shape):
            raise layer.settings.unsupported(f"is called on constants of shape {array.shape}")
        tensor, constant = constant_for(layer.writer, tensor, array)
        pair = (tensor.handle, constant) if isinstance(one, Tensor) else (constant, tensor.handle)
        return with_handle(tensor, layer.writer.binary(operation, *pair))


for _operation, _kinds in {
    "add": ("Add",), "subtract": ("Subtract",), "multiply": ("Multiply",), "divide": ("Divide", "TrueDivide"),
    "maximum": ("Maximum",), "minimum": ("Minimum",), "power": ("Power",),
}.items():  # fmt: skip
    _binary(_operation, *_kinds)


def _unary(kind: str, operation: str) -> None:
    @OPERATIONS.row(kind)
    def unary(layer: Layer) -> Tensor:
        tensor = _tensor(layer)
        return with_handle(tensor, layer.writer.unary(operation, tensor.handle))


for _kind, _operation in {
    "Absolute": "abs", "Exp": "exp", "Log": "log", "Negative": "negative", "Sqrt": "sqrt", "Tanh": "tanh",
}.items():  # fmt: skip
    _unary(_kind, _operation)


def _activation(kind: str, name: str) -> None:
    @OPERATIONS.row(kind)
    def activation(layer: Layer) -> Tensor:
        tensor = _tensor(layer)
        return with_handle(tensor, ELEMENTWISE[name](layer.writer, tensor.handle))


for _kind, _name in {
    "HardSigmoid": "hard_sigmoid", "HardSilu": "hard_silu", "LogSigmoid": "log_sigmoid", "Relu": "relu",
    "Relu6": "relu6", "Selu": "selu", "Sigmoid": "sigmoid", "Silu": "silu", "Softplus": "softplus",
    "Softsign": "softsign", "Cast": "linear", "StopGradient": "linear",
}.items():  # fmt: skip
    _activation(_kind, _name)


@OPERATIONS.row("Square")
def _square(layer: Layer) -> Tensor:
    tensor = _tensor(layer)
    return with_handle(tensor, layer.writer.binary("multiply", tensor.handle, tensor.handle))


@OPERATIONS.row("Elu")
def _elu(layer: Layer) -> Tensor:
    tensor = _tensor(layer)
    return with_handle(tensor, layer.writer.elu(tensor.handle, _argument(layer, 1, "alpha", 1.0)))


@OPERATIONS.row("Gelu")
def _gelu(layer: Layer) -> Tensor:
    tensor = _tensor(layer)
    approximate = bool(_argument(layer, 1, "approximate", True))
    return with_handle(tensor, gelu(layer.writer, tensor.handle, approximate=approximate))


@OPERATIONS.row("LeakyRelu")
def _leaky_relu(layer: Layer) -> Tensor:
    tensor = _tensor(layer)
    return with_handle(tensor, leaky_relu(layer.writer, tensor.handle, _argument(layer, 1, "negative_slope", 0.2)))


@OPERATIONS.row("Softmax")
def _softmax(layer: Layer) -> Tensor:
    tensor, axis = _tensor(layer), _argument(layer, 1, "axis", -1)
    if not isinstance(axis, int):
        raise layer.settings.unsupported(f"axis is {axis!r}")
    return with_handle(tensor, layer.writer.softmax(tensor.handle, tensor.axis(axis)))


@OPERATIONS.row("LogSoftmax")
def _log_softmax(layer: Layer) -> Tensor:
    tensor, axis = _tensor(layer), _argument(layer, 1, "axis", -1)
    if not isinstance(axis, int):
        raise layer.settings.unsupported(f"axis is {axis!r}")
    return with_handle(tensor, log_softmax(layer.writer, tensor.handle, tensor.axis(axis)))


@OPERATIONS.row("Clip")
def _clip(layer: Layer) -> Tensor:
    tensor = _tensor(layer)
    low, high = (_argument(layer, place, name) for place, name in ((1, "x_min"), (2, "x_max")))
    if not isinstance(low, int | float) or not isinstance(high, int | float):
        raise layer.settings.unsupported(f"limits are {low!r} and {high!r}")
    return with_handle(tensor, layer.writer.clip(tensor.handle, low, high))


def _reduction(kind: str, how: str) -> None:
    @OPERATIONS.row(kind)
    def reduction(layer: Layer) -> Tensor:
        tensor = _tensor(layer)
        axis, keepdims = _argument(layer, 1, "axis"), bool(_argument(layer, 2, "keepdims", False))
        layer.settings.only("initial")
        layer.settings.only("where")
        layer.settings.only("weights")
        if kind == "Average" and (len(layer.arguments) > 1 or layer.keywords.get("weights") is not None):
            raise layer.settings.unsupported("weighs its values")
        rank = len(tensor.shape) + 1
        axes = [item % rank for item in _axes(layer, axis)]
        if 0 in axes:
            raise layer.settings.unsupported("reduces over samples")
        if not keepdims:
            tensor = in_keras_order(layer.writer, tensor)
        handle = layer.writer.reduce(how, tensor.handle, [tensor.axis(item) for item in axes], keepdims=keepdims)
        sides = enumerate(tensor.shape, start=1)
        if keepdims:
            return Tensor(handle, tuple(1 if place in axes else side for place, side in sides), tensor.moved)
        return Tensor(handle, tuple(side for place, side in sides if place not in axes))


for _kind, _how in {"Average": "mean", "Mean": "mean", "Max": "max", "Min": "min", "Sum": "sum"}.items():
    _reduction(_kind, _how)


def _axes(layer: Layer, axis: Any) -> Sequence[int]:
    axes = [axis] if isinstance(axis, int) else axis
    if not isinstance(axes, list | tuple) or not all(isinstance(item, int) for item in axes):
        raise layer.settings.unsupported(f"axis is {axis!r}")
    return axes


@OPERATIONS.row("Concatenate")
def _concatenate(layer: Layer) -> Tensor:
    axis = layer.keywords.get("axis", layer.settings.get("axis", -1))
    return concatenated(layer, _several(layer), int(axis))


@OPERATIONS.row("Reshape")
def _reshape(layer: Layer) -> Tensor:
    shape = _argument(layer, 1, "newshape")
    if not isinstance(shape, list | tuple) or not shape or shape[0] not in (-1, None):
        raise layer.settings.unsupported(f"reshapes to {shape!r}")
    if not all(isinstance(side, int) for side in shape[1:]):
        raise layer.settings.unsupported(f"reshapes to {shape!r}")
    return reshaped(layer, _tensor(layer), shape[1:])


@OPERATIONS.row("Transpose")
def _transpose(layer: Layer) -> Tensor:
    tensor = in_keras_order(layer.writer, _tensor(layer))
    axes = list(_axes(layer, _argument(layer, 1, "axes")))
    if axes[0] != 0:
        raise layer.settings.unsupported(f"axes are {axes}")
    shape = tuple(tensor.shape[axis - 1] for axis in axes[1:])
    return Tensor(layer.writer.transpose(tensor.handle, axes), shape)


@OPERATIONS.row("ExpandDims")
def _expand_dims(layer: Layer) -> Tensor:
    tensor, axis = _tensor(layer), _axes(layer, _argument(layer, 1, "axis"))
    place = axis[0] % (len(tensor.shape) + 2)
    if len(axis) != 1 or place == 0:
        raise layer.settings.unsupported(f"axis is {axis}")
    return reshaped(layer, tensor, (*tensor.shape[: place - 1], 1, *tensor.shape[place - 1 :]))


@OPERATIONS.row("Squeeze")
def _squeeze(layer: Layer) -> Tensor:
    tensor, axis = _tensor(layer), _axes(layer, _argument(layer, 1, "axis"))
    places = {item % (len(tensor.shape) + 1) for item in axis}
    if 0 in places or any(tensor.shape[place - 1] != 1 for place in places):
        raise layer.settings.unsupported(f"axis is {axis}")
    kept = tuple(side for place, side in enumerate(tensor.shape, start=1) if place not in places)
    return reshaped(layer, tensor, kept)


@OPERATIONS.row("Flip")
def _flip(layer: Layer) -> Tensor:
    tensor = _tensor(layer)
    for axis in _axes(layer, _argument(layer, 1, "axis")):
        tensor = _part(layer, tensor, axis % (len(tensor.shape) + 1), slice(None, None, -1))
    return tensor


@OPERATIONS.row("Matmul")
def _matmul(layer: Layer) -> Tensor:
    one, other = (_argument(layer, place, name) for place, name in enumerate(("x1", "x2")))
    if not isinstance(one, Tensor) or len(one.shape) < 2:
        raise layer.settings.unsupported("is called on no tensor of matrices")
    one = in_keras_order(layer.writer, one)
    if isinstance(other, Tensor):
        if len(other.shape) != len(one.shape):
            raise layer.settings.unsupported("is called on tensors with different numbers of axes")
        other = in_keras_order(layer.writer, other)
        shape = (*broadcast([one.shape[:-2], other.shape[:-2]]), one.shape[-2], other.shape[-1])
        return Tensor(layer.writer.matmul(one.handle, other.handle), shape)
    matrix = _array(layer, other)
    if matrix.ndim != 2:
        raise layer.settings.unsupported(f"is called on constants of shape {matrix.shape}")
    product = layer.writer.matmul(one.handle, layer.writer.constant(matrix))
    return Tensor(product, (*one.shape[:-1], matrix.shape[1]))


@OPERATIONS.row("Pad")
def _pad(layer: Layer) -> Tensor:
    tensor = in_keras_order(layer.writer, _tensor(layer))
    width, mode = _argument(layer, 1, "pad_width"), _argument(layer, 2, "mode", "constant")
    value = _argument(layer, 3, "constant_values", 0)
    margins = _array(layer, width).astype(int)
    if mode not in ("constant", "reflect", "symmetric") or not isinstance(value, int | float):
        raise layer.settings.unsupported(f"mode is {mode!r} with {value!r}")
    if margins.shape != (len(tensor.shape) + 1, 2) or margins[0].any() or margins.min() < 0:
        raise layer.settings.unsupported(f"pad_width is {width!r}")
    shape = tuple(int(side + sum(margin)) for side, margin in zip(tensor.shape, margins[1:], strict=True))
    begin, end = margins.T.tolist()
    return Tensor(layer.writer.pad(tensor.handle, begin, end, mode, float(value)), shape)


@OPERATIONS.row("Stack")
def _stack(layer: Layer) -> Tensor:
    tensors = [in_keras_order(layer.writer, tensor) for tensor in _several(layer)]
    axis = layer.keywords.get("axis", layer.settings.get("axis", 0))
    place = axis % (len(tensors[0].shape) + 2)
    if place == 0 or len({tensor.shape for tensor in tensors}) > 1:
        raise layer.settings.unsupported("joins samples, or tensors of several shapes")
    shape = tensors[0].shape
    wider = (*shape[: place - 1], 1, *shape[place - 1 :])
    return concatenated(layer, [reshaped(layer, tensor, wider) for tensor in tensors], place)


def _several(layer: Layer) -> Sequence[Tensor]:
    """Return the tensors of an operation that takes a list of them."""
    given = layer.arguments[0] if layer.arguments and isinstance(layer.arguments[0], list | tuple) else layer.inputs
    if not all(isinstance(tensor, Tensor) for tensor in given):
        raise layer.settings.unsupported("joins constants")
    return list(given)


@OPERATIONS.row("Swapaxes")
def _swapaxes(layer: Layer) -> Tensor:
    tensor = in_keras_order(layer.writer, _tensor(layer))
    axes = list(range(len(tensor.shape) + 1))
    one, other = (_axes(layer, _argument(layer, place, f"axis{place}"))[0] % len(axes) for place in (1, 2))
    axes[one], axes[other] = axes[other], axes[one]
    if axes[0] != 0:
        raise layer.settings.unsupported(f"axes are {one} and {other}")
    return Tensor(layer.writer.transpose(tensor.handle, axes), tuple(tensor.shape[axis - 1] for axis in axes[1:]))


@OPERATIONS.row("GetItem")
def _get_item(layer: Layer) -> Tensor:
    tensor, shape = _tensor(layer), []
    axis = 0
    for item in _keys(layer, _argument(layer, 1, "key"), len(tensor.shape) + 1):
        if axis == 0 and item != slice(None):
            raise layer.settings.unsupported("takes some of the samples")
        if item is None:
            shape.append(1)
            continue
        if isinstance(item, int):
            side = tensor.shape[axis - 1]
            if not -side <= item < side:
                raise layer.settings.unsupported("takes nothing")
            tensor = _part(layer, tensor, axis, slice(item % side, item % side + 1))
        elif axis > 0:
            tensor = _part(layer, tensor, axis, item)
            shape.append(tensor.shape[axis - 1])
        axis += 1
    shape += tensor.shape[axis - 1 :]
    return tensor if tuple(shape) == tensor.shape else reshaped(layer, tensor, shape)


def _part(layer: Layer, tensor: Tensor, axis: int, part: slice) -> Tensor:
    """Emit part of an axis."""
    if axis == 0:
        raise layer.settings.unsupported("takes some of the samples")
    shape = list(tensor.shape)
    side = shape[axis - 1]
    indices = range(side)[part]
    if len(indices) < 1:
        raise layer.settings.unsupported("takes nothing")
    if indices == range(side):
        return tensor
    stop = indices[-1] + (1 if indices.step > 0 else -1)
    if stop < 0:
        stop = -side - 1  # before the first, as Python counts
    handle = layer.writer.slice(tensor.handle, tensor.axis(axis), indices[0], stop, indices.step)
    shape[axis - 1] = len(indices)
    return Tensor(handle, tuple(shape), tensor.moved)


def _keys(layer: Layer, key: Any, rank: int) -> list[slice | int | None]:
    """Return what a key takes of each axis; None for a new one."""
    if isinstance(key, dict) and key.get("class_name") == "__tuple__":
        key = key["config"]["value"]
    items = list(key) if isinstance(key, list | tuple) else [key]
    kinds = [item.get("class_name") if isinstance(item, dict) else None for item in items]
    if "__ellipsis__" in kinds:
        place = kinds.index("__ellipsis__")
        items[place : place + 1] = [_ALL] * (rank - len(items) + 1 + items.count(None))
    found: list[slice | int | None] = []
    for item in items:
        if item is None or (isinstance(item, int) and not isinstance(item, bool)):
            found.append(item)
        elif isinstance(item, dict) and item.get("class_name") == "__slice__":
            config = item["config"]
            found.append(slice(config.get("start"), config.get("stop"), config.get("step")))
        else:
            raise layer.settings.unsupported(f"takes {item!r}")
    if len(found) - found.count(None) > rank:
        raise layer.settings.unsupported(f"takes {len(found)} axes of {rank}")
    return found


_ALL = {"class_name": "__slice__", "config": {}}

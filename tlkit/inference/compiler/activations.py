"""What every activation function computes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tlkit.inference.compiler.tensors import Tensor, with_handle
from tlkit.inference.compiler.writer import Handle, Writer

_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946


def scalar(writer: Writer, value: float) -> Handle:
    """Emit one number."""
    return writer.constant(np.float32(value))


def _times(writer: Writer, x: Handle, factor: float) -> Handle:
    return writer.binary("multiply", x, scalar(writer, factor))


def leaky_relu(writer: Writer, x: Handle, slope: float) -> Handle:
    """Emit x where it is positive, else slope times x."""
    positive = writer.unary("relu", x)
    if slope == 0:
        return positive
    negative = writer.binary("minimum", x, scalar(writer, 0))
    return writer.binary("add", positive, _times(writer, negative, slope))


def _hard_sigmoid(writer: Writer, x: Handle) -> Handle:
    moved = writer.clip(writer.binary("add", x, scalar(writer, 3)), 0, 6)
    return _times(writer, moved, 1 / 6)


def gelu(writer: Writer, x: Handle, *, approximate: bool = False) -> Handle:
    """Emit the Gaussian error linear unit, exact or by tanh."""
    if approximate:
        cube = writer.binary("multiply", x, writer.binary("multiply", x, x))
        inner = writer.binary("add", x, _times(writer, cube, 0.044715))
        gate = writer.unary("tanh", _times(writer, inner, math.sqrt(2 / math.pi)))
    else:
        gate = writer.unary("erf", writer.binary("divide", x, scalar(writer, math.sqrt(2))))
    return writer.binary("multiply", _times(writer, x, 0.5), writer.binary("add", gate, scalar(writer, 1)))


def _step(writer: Writer, x: Handle) -> Handle:
    """Emit 1 where x is positive, else 0."""
    return writer.unary("sign", writer.unary("relu", x))


def above(writer: Writer, x: Handle, threshold: float) -> Handle:
    """Emit x where it is above a threshold, else 0."""
    return writer.binary("multiply", x, _step(writer, writer.binary("subtract", x, scalar(writer, threshold))))


def _hard_shrink(writer: Writer, x: Handle) -> Handle:
    size = writer.binary("subtract", writer.unary("abs", x), scalar(writer, 0.5))
    return writer.binary("multiply", x, _step(writer, size))


def _soft_shrink(writer: Writer, x: Handle) -> Handle:
    positive = writer.unary("relu", writer.binary("subtract", x, scalar(writer, 0.5)))
    negative = writer.unary("relu", writer.binary("subtract", scalar(writer, -0.5), x))
    return writer.binary("subtract", positive, negative)


def _sparse_plus(writer: Writer, x: Handle) -> Handle:
    moved = writer.binary("add", writer.clip(x, -1, 1), scalar(writer, 1))
    curve = _times(writer, writer.binary("multiply", moved, moved), 0.25)
    return writer.binary("add", curve, writer.unary("relu", writer.binary("subtract", x, scalar(writer, 1))))


def _sparse_sigmoid(writer: Writer, x: Handle) -> Handle:
    return writer.clip(_times(writer, writer.binary("add", x, scalar(writer, 1)), 0.5), 0, 1)


def _squareplus(writer: Writer, x: Handle) -> Handle:
    root = writer.unary("sqrt", writer.binary("add", writer.binary("multiply", x, x), scalar(writer, 4)))
    return _times(writer, writer.binary("add", x, root), 0.5)


def log_softmax(writer: Writer, x: Handle, axis: int) -> Handle:
    """Emit the logarithm of the softmax along an axis."""
    moved = writer.binary("subtract", x, writer.reduce("max", x, [axis], keepdims=True))
    total = writer.reduce("sum", writer.unary("exp", moved), [axis], keepdims=True)
    return writer.binary("subtract", moved, writer.unary("log", total))


def _softsign(writer: Writer, x: Handle) -> Handle:
    return writer.binary("divide", x, writer.binary("add", writer.unary("abs", x), scalar(writer, 1)))


def _gated(gate: Callable[[Writer, Handle], Handle]) -> Callable[[Writer, Handle], Handle]:
    return lambda writer, x: writer.binary("multiply", x, gate(writer, x))


def _unary(operation: str) -> Callable[[Writer, Handle], Handle]:
    return lambda writer, x: writer.unary(operation, x)


ELEMENTWISE: dict[str, Callable[[Writer, Handle], Handle]] = {
    "celu": lambda writer, x: writer.elu(x, 1.0),
    "elu": lambda writer, x: writer.elu(x, 1.0),
    "exponential": _unary("exp"),
    "gelu": gelu,
    "hard_shrink": _hard_shrink,
    "hard_sigmoid": _hard_sigmoid,
    "hard_silu": _gated(_hard_sigmoid),
    "hard_swish": _gated(_hard_sigmoid),
    "hard_tanh": lambda writer, x: writer.clip(x, -1, 1),
    "leaky_relu": lambda writer, x: leaky_relu(writer, x, 0.2),
    "linear": lambda writer, x: x,
    "log_sigmoid": lambda writer, x: writer.unary("negative", writer.unary("softplus", writer.unary("negative", x))),
    "mish": _gated(lambda writer, x: writer.unary("tanh", writer.unary("softplus", x))),
    "relu": _unary("relu"),
    "relu6": lambda writer, x: writer.clip(x, 0, 6),
    "selu": lambda writer, x: _times(writer, writer.elu(x, _SELU_ALPHA), _SELU_SCALE),
    "sigmoid": _unary("sigmoid"),
    "silu": _gated(_unary("sigmoid")),
    "soft_shrink": _soft_shrink,
    "softplus": _unary("softplus"),
    "softsign": _softsign,
    "sparse_plus": _sparse_plus,
    "sparse_sigmoid": _sparse_sigmoid,
    "squareplus": _squareplus,
    "swish": _gated(_unary("sigmoid")),
    "tanh": _unary("tanh"),
    "tanh_shrink": lambda writer, x: writer.binary("subtract", x, writer.unary("tanh", x)),
}
"""Activations of single values, by Keras's name."""


def activation_name(value: Any) -> str | None:
    """Return the name of an activation as a config has it; None for one with settings of its own."""
    if value is None:
        return "linear"
    if isinstance(value, dict):  # {"class_name": "function", "config": "relu"}
        value = value.get("config")
    return value if isinstance(value, str) else None


def activate(writer: Writer, tensor: Tensor, name: str) -> Tensor | None:
    """Emit an activation; None for one that is not in the table."""
    if name == "softmax":
        return with_handle(tensor, writer.softmax(tensor.handle, tensor.axis(-1)))
    if name == "log_softmax":
        return with_handle(tensor, log_softmax(writer, tensor.handle, tensor.axis(-1)))
    function = ELEMENTWISE.get(name)
    return function and with_handle(tensor, function(writer, tensor.handle))

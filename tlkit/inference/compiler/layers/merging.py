"""Layers of several tensors."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tlkit.inference.compiler.layers.table import LAYERS
from tlkit.inference.compiler.layers.vectors import reshaped
from tlkit.inference.compiler.row import Layer
from tlkit.inference.compiler.tensors import (
    Tensor,
    as_map,
    in_keras_order,
    with_handle,
)


def alike(layer: Layer, tensors: Sequence[Tensor]) -> list[Tensor]:
    """Return tensors of as many axes each, in one order."""
    if len({len(tensor.shape) for tensor in tensors}) != 1:
        raise layer.settings.unsupported("is called on tensors with different numbers of axes")
    if len({tensor.moved for tensor in tensors}) == 1:
        return list(tensors)
    if all(tensor.moved or math.prod(tensor.shape[:-1]) == 1 for tensor in tensors):
        return [as_map(layer.writer, tensor, "channels_last") for tensor in tensors]
    return [in_keras_order(layer.writer, tensor) for tensor in tensors]


def broadcast(shapes: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """Return the shape of an operation on values of these shapes."""
    return tuple(int(side) for side in np.broadcast_shapes(*shapes))


def merged(layer: Layer, tensors: Sequence[Tensor], operation: str) -> Tensor:
    """Emit an operation on one tensor after the other."""
    first, *others = alike(layer, tensors)
    for other in others:
        handle = layer.writer.binary(operation, first.handle, other.handle)
        first = Tensor(handle, broadcast([first.shape, other.shape]), first.moved)
    return first


def _merge(kind: str, operation: str) -> None:
    @LAYERS.row(kind)
    def merge(layer: Layer) -> Tensor:
        most = max(len(tensor.shape) for tensor in layer.inputs)
        padded = [(1,) * (most - len(tensor.shape)) + tensor.shape for tensor in layer.inputs]
        result = merged(layer, [reshaped(layer, *pair) for pair in zip(layer.inputs, padded, strict=True)], operation)
        if kind != "Average":
            return result
        mean = layer.writer.binary("divide", result.handle, layer.number(len(layer.inputs)))
        return with_handle(result, mean)


for _kind, _operation in {
    "Add": "add", "Average": "add", "Maximum": "maximum", "Minimum": "minimum", "Multiply": "multiply",
    "Subtract": "subtract",
}.items():  # fmt: skip
    _merge(_kind, _operation)


def concatenated(layer: Layer, tensors: Sequence[Tensor], axis: int) -> Tensor:
    """Emit tensors one behind the other."""
    first, *others = same = alike(layer, tensors)
    rank = len(first.shape) + 1
    if axis % rank == 0:
        raise layer.settings.unsupported("joins samples")
    place = axis % rank - 1
    shape = list(first.shape)
    shape[place] = sum(tensor.shape[place] for tensor in same)
    handle = layer.writer.concatenate([tensor.handle for tensor in same], first.axis(axis)) if others else first.handle
    return Tensor(handle, tuple(shape), first.moved)


@LAYERS.row("Concatenate")
def _concatenate(layer: Layer) -> Tensor:
    return concatenated(layer, layer.inputs, int(layer.settings.get("axis", -1)))


@LAYERS.row("CustomScaleLayer")
def _custom_scale(layer: Layer) -> Tensor:
    one, other = alike(layer, layer.inputs)
    scaled = layer.writer.binary("multiply", other.handle, layer.number(layer.settings.get("scale")))
    return with_handle(one, layer.writer.binary("add", one.handle, scaled))

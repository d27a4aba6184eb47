"""Normalization, and whatever else scales and shifts."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tlkit.inference.compiler.layers.table import LAYERS
from tlkit.inference.compiler.row import Layer
from tlkit.inference.compiler.tensors import (
    Tensor,
    along,
    as_map,
    constant_for,
    in_keras_order,
    with_handle,
)
from tlkit.inference.compiler.writer import Handle


@LAYERS.row("BatchNormalization")
def _batch_normalization(layer: Layer) -> Tensor:
    settings, tensor = layer.settings, layer.input
    axis = settings.get("axis", -1)
    if isinstance(axis, list | tuple):
        if len(axis) != 1:
            raise settings.unsupported(f"axis is {axis}")
        axis = axis[0]
    settings.skip("center", "scale")
    deviation = np.sqrt(layer.weight("moving_variance").astype(np.float64) + settings.get("epsilon", 0.001))
    scale = layer.weights.get("gamma", 1.0) / deviation
    offset = layer.weights.get("beta", 0.0) - layer.weight("moving_mean") * scale
    return layer.scaled(tensor, int(axis), scale=scale, offset=offset)


def _normalized(layer: Layer, handle: Handle, axes: Sequence[int], epsilon: float) -> Handle:
    """Emit values less their mean, over their standard deviation."""
    writer = layer.writer
    centred = writer.binary("subtract", handle, writer.reduce("mean", handle, axes, keepdims=True))
    variance = writer.reduce("mean", writer.binary("multiply", centred, centred), axes, keepdims=True)
    deviation = writer.unary("sqrt", writer.binary("add", variance, layer.number(epsilon)))
    return writer.binary("divide", centred, deviation)


def axes_of(layer: Layer, default: int = -1) -> list[int]:
    """Return the setting ``axis`` as numbers from 0, in order."""
    axis = layer.settings.get("axis", default)
    rank = len(layer.input.shape) + 1
    axes = [int(item) % rank for item in sorted(axis if isinstance(axis, list | tuple) else [axis])]
    if axes != sorted(set(axes)) or 0 in axes:
        raise layer.settings.unsupported(f"axis is {axis}")
    return axes


def _over(layer: Layer, tensor: Tensor, axes: Sequence[int], values: np.ndarray) -> tuple[Tensor, Handle]:
    """Emit constants that differ along some axes; return the tensor in the order of these."""
    if len(axes) == 1:
        return tensor, along(layer.writer, tensor, axes[0], values)
    shape = [side if place in axes else 1 for place, side in enumerate((1, *tensor.shape))]
    values = np.broadcast_to(values, [shape[axis] for axis in axes]).reshape(shape)
    return in_keras_order(layer.writer, tensor), layer.writer.constant(values)


@LAYERS.row("LayerNormalization")
def _layer_normalization(layer: Layer) -> Tensor:
    settings, tensor, axes = layer.settings, layer.input, axes_of(layer)
    settings.only("rms_scaling", False)
    settings.skip("center", "scale")
    places = [tensor.axis(axis) for axis in axes]
    tensor = with_handle(tensor, _normalized(layer, tensor.handle, places, settings.get("epsilon", 0.001)))
    for operation, role in (("multiply", "gamma"), ("add", "beta")):
        if role in layer.weights:
            tensor, constant = _over(layer, tensor, axes, layer.weights[role])
            tensor = with_handle(tensor, layer.writer.binary(operation, tensor.handle, constant))
    return tensor


@LAYERS.row("RMSNormalization")
def _rms_normalization(layer: Layer) -> Tensor:
    tensor, writer = layer.input, layer.writer
    if axes_of(layer) != [len(tensor.shape)]:
        raise layer.settings.unsupported(f"axis is {layer.settings.get('axis')}")
    squares = writer.binary("multiply", tensor.handle, tensor.handle)
    mean = writer.reduce("mean", squares, [tensor.axis(-1)], keepdims=True)
    deviation = writer.unary("sqrt", writer.binary("add", mean, layer.number(layer.settings.get("epsilon", 1e-6))))
    divided = with_handle(tensor, writer.binary("divide", tensor.handle, deviation))
    return layer.scaled(divided, -1, scale=layer.weight("scale"), offset=None)


@LAYERS.row("GroupNormalization")
def _group_normalization(layer: Layer) -> Tensor:
    settings, tensor = layer.settings, layer.input
    settings.only("axis", -1, len(tensor.shape))
    settings.skip("center", "scale")
    channels, groups = tensor.shape[-1], int(settings.get("groups", 32))
    groups = channels if groups == -1 else groups
    first = as_map(layer.writer, tensor, "channels_last") if len(tensor.shape) > 1 else tensor
    rest = math.prod(tensor.shape) // groups
    split = layer.writer.reshape(first.handle, (-1, groups, rest))
    normalized = _normalized(layer, split, [2], settings.get("epsilon", 0.001))
    handle = layer.writer.reshape(normalized, (-1, channels, *tensor.shape[:-1]))
    weights = layer.weights
    return layer.scaled(with_handle(first, handle), -1, scale=weights.get("gamma"), offset=weights.get("beta"))


@LAYERS.row("UnitNormalization")
def _unit_normalization(layer: Layer) -> Tensor:
    tensor, axis = layer.input, layer.settings.get("axis", -1)
    axes = [tensor.axis(item) for item in (axis if isinstance(axis, list | tuple) else [axis])]
    writer = layer.writer
    squares = writer.reduce("sum", writer.binary("multiply", tensor.handle, tensor.handle), axes, keepdims=True)
    norm = writer.unary("sqrt", writer.binary("maximum", squares, layer.number(1e-12)))
    return with_handle(tensor, writer.binary("divide", tensor.handle, norm))


@LAYERS.row("Normalization")
def _normalization(layer: Layer) -> Tensor:
    settings, tensor, axes = layer.settings, layer.input, axes_of(layer)
    mean, variance = settings.get("mean"), settings.get("variance")
    if mean is None or variance is None:
        mean, variance = layer.weight("mean"), layer.weight("variance")
    mean, variance = (np.asarray(values, np.float32) for values in (mean, variance))
    deviation = np.maximum(np.sqrt(variance), np.float32(1e-7))
    steps = [("subtract", mean), ("divide", deviation)]
    if settings.get("invert", False):
        steps = [("multiply", deviation), ("add", mean)]
    for operation, values in steps:
        tensor, constant = _over(layer, tensor, axes, values)
        tensor = with_handle(tensor, layer.writer.binary(operation, tensor.handle, constant))
    return tensor


@LAYERS.row("Rescaling")
def _rescaling(layer: Layer) -> Tensor:
    settings, tensor = layer.settings, layer.input
    handle = tensor.handle
    for operation, key, default in (("multiply", "scale", 1.0), ("add", "offset", 0.0)):
        values = np.asarray(settings.get(key, default), np.float32)
        if values.ndim and settings.get("data_format") == "channels_first":
            raise settings.unsupported(f"{key} differs by channel, channels first")
        tensor, constants = constant_for(layer.writer, with_handle(tensor, handle), values)
        handle = layer.writer.binary(operation, tensor.handle, constants)
    return with_handle(tensor, handle)


@LAYERS.row("LayerScale")
def _layer_scale(layer: Layer) -> Tensor:
    layer.settings.skip("init_values", "projection_dim")
    return layer.scaled(layer.input, -1, scale=next(iter(layer.weights.values())), offset=None)

"""Convolutions and pooling."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tlkit.inference.compiler.layers.table import LAYERS, MOST_STEPS
from tlkit.inference.compiler.row import Layer
from tlkit.inference.compiler.tensors import (
    Tensor,
    map_shape,
)

_RANKS = {"1D": 1, "2D": 2, "3D": 3}


def sides_of(tensor: Tensor, data_format: str) -> tuple[int, ...]:
    """Return the height and width of a map, or its sides in other dimensions."""
    return tensor.shape[1:] if data_format == "channels_first" else tensor.shape[:-1]


def channels_of(tensor: Tensor, data_format: str) -> int:
    """Return the number of channels of a map."""
    return tensor.shape[0] if data_format == "channels_first" else tensor.shape[-1]


def _window(
    sides: Sequence[int], size: Sequence[int], strides: Sequence[int], dilation: Sequence[int], padding: str
) -> tuple[tuple[list[int], list[int]], list[int]]:
    """Return what is padded before and behind each side, and the sides of the output."""
    begin, end, output = [], [], []
    for side, extent, stride, rate in zip(sides, size, strides, dilation, strict=True):
        reach = (extent - 1) * rate + 1
        if padding == "same":
            steps = -(-side // stride)
            missing = max((steps - 1) * stride + reach - side, 0)
            before = missing // 2
        else:
            missing = before = reach - 1 if padding == "causal" else 0
            steps = (side + missing - reach) // stride + 1
        begin.append(before)
        end.append(missing - before)
        output.append(steps)
    return (begin, end), output


def _convolve(
    layer: Layer, tensor: Tensor, kernel: np.ndarray, data_format: str, *, groups: int, strides: Sequence[int],
    dilation: Sequence[int], padding: str,
) -> Tensor:  # fmt: skip
    """Convolve with a kernel ``(*sides, in / groups, out)``."""
    rank = kernel.ndim - 2
    (begin, end), sides = _window(sides_of(tensor, data_format), kernel.shape[:rank], strides, dilation, padding)
    if min(sides) < 1:
        raise layer.settings.unsupported(f"has an output of {sides}")
    handle = tensor.handle
    if tensor.padded and math.prod(kernel.shape[:rank]) == 1 and max(strides) > 1:
        # OpenVINO joins the padding and this convolution, and gets the stride wrong: take the pixels beforehand
        for place, (side, stride) in enumerate(zip(sides_of(tensor, data_format), strides, strict=True), start=2):
            handle = layer.writer.slice(handle, place, 0, side, stride)
        strides = (1,) * rank
    handle = layer.writer.convolve(handle, kernel, strides, begin, end, dilation, groups)
    return Tensor(handle, map_shape(kernel.shape[-1], sides, data_format), tensor.moved)


def _channel_axis(data_format: str) -> int:
    return 1 if data_format == "channels_first" else -1


def _with_bias(layer: Layer, tensor: Tensor, data_format: str) -> Tensor:
    layer.settings.skip("use_bias")
    bias = layer.weights.get("bias")
    return layer.activated(layer.scaled(tensor, _channel_axis(data_format), scale=None, offset=bias))


@LAYERS.row("Conv1D", "Conv2D", "Conv3D")
def _conv(layer: Layer) -> Tensor:
    kernel, settings = layer.weight("kernel"), layer.settings
    rank, data_format = kernel.ndim - 2, layer.data_format()
    tensor = layer.map(data_format, rank)
    settings.skip("filters", "kernel_size", "groups")
    output = _convolve(
        layer, tensor, kernel, data_format,
        groups=channels_of(tensor, data_format) // kernel.shape[-2],
        strides=settings.sides("strides", 1, rank),
        dilation=settings.sides("dilation_rate", 1, rank),
        padding=settings.choice("padding", "valid", "valid", "same", *(("causal",) if rank == 1 else ())),
    )  # fmt: skip
    return _with_bias(layer, output, data_format)


def _convolve_channels(layer: Layer, kernel: np.ndarray, data_format: str) -> Tensor:
    """Convolve every channel by itself, with a kernel ``(*sides, channels, multiplier)``."""
    *size, channels, multiplier = kernel.shape
    rank, settings = len(size), layer.settings
    settings.skip("filters", "kernel_size", "depth_multiplier", "groups")
    return _convolve(
        layer, layer.map(data_format, rank), kernel.reshape(*size, 1, channels * multiplier), data_format,
        groups=channels,
        strides=settings.sides("strides", 1, rank),
        dilation=settings.sides("dilation_rate", 1, rank),
        padding=settings.choice("padding", "valid", "valid", "same"),
    )  # fmt: skip


@LAYERS.row("DepthwiseConv1D", "DepthwiseConv2D")
def _depthwise_conv(layer: Layer) -> Tensor:
    data_format = layer.data_format()
    return _with_bias(layer, _convolve_channels(layer, layer.weight("kernel"), data_format), data_format)


@LAYERS.row("SeparableConv1D", "SeparableConv2D")
def _separable_conv(layer: Layer) -> Tensor:
    kernel, data_format = layer.weight("depthwise_kernel"), layer.data_format()
    rank = kernel.ndim - 2
    between = _convolve_channels(layer, kernel, data_format)
    ones = (1,) * rank
    output = _convolve(
        layer, between, layer.weight("pointwise_kernel"), data_format,
        groups=1, strides=ones, dilation=ones, padding="valid",
    )  # fmt: skip
    return _with_bias(layer, output, data_format)


@LAYERS.row("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose")
def _conv_transpose(layer: Layer) -> Tensor:
    kernel, settings = layer.weight("kernel"), layer.settings
    rank, data_format = kernel.ndim - 2, layer.data_format()
    tensor = layer.map(data_format, rank)
    strides, size = settings.sides("strides", 1, rank), kernel.shape[:rank]
    added = settings.get("output_padding")
    padded = None if added is None else settings.sides("output_padding", None, rank)
    settings.only("dilation_rate", 1, [1] * rank, (1,) * rank)
    settings.only("groups", 1)
    settings.skip("filters", "kernel_size")
    padding = settings.choice("padding", "valid", "valid", "same")
    begin, end, extra, sides = [], [], [], []
    for number, (side, extent, stride) in enumerate(zip(sides_of(tensor, data_format), size, strides, strict=True)):
        full = (side - 1) * stride + extent
        if padded is not None:
            wanted = (side - 1) * stride + padded[number] + (extent % 2 if padding == "same" else extent)
        else:
            wanted = side * stride if padding == "same" else side * stride + max(extent - stride, 0)
        cut = max(full - wanted, 0)
        begin.append(cut // 2)
        end.append(cut - cut // 2)
        extra.append(max(wanted - full, 0))
        sides.append(wanted)
    handle = layer.writer.convolve_transposed(tensor.handle, kernel, strides, begin, end, extra)
    output = Tensor(handle, map_shape(kernel.shape[rank], sides, data_format), tensor.moved)
    return _with_bias(layer, output, data_format)


def _pool(how: str, rank: int) -> None:
    name = {"max": "MaxPooling", "avg": "AveragePooling"}[how]

    @LAYERS.row(f"{name}{rank}D")
    def pool(layer: Layer) -> Tensor:
        settings, data_format = layer.settings, layer.data_format()
        tensor = layer.map(data_format, rank)
        size = settings.sides("pool_size", 2, rank)
        strides = settings.sides("strides", size, rank)
        padding = settings.choice("padding", "valid", "valid", "same")
        (begin, end), sides = _window(sides_of(tensor, data_format), size, strides, (1,) * rank, padding)
        if min(sides) < 1:
            raise settings.unsupported(f"has an output of {sides}")
        handle = layer.writer.pool(how, tensor.handle, size, strides, begin, end)
        return Tensor(handle, map_shape(channels_of(tensor, data_format), sides, data_format), tensor.moved)

    @LAYERS.row(f"Global{name}{rank}D")
    def global_pool(layer: Layer) -> Tensor:
        data_format, keepdims = layer.data_format(), bool(layer.settings.get("keepdims", False))
        tensor = layer.map(data_format, rank)
        reduction = {"max": "max", "avg": "mean"}[how]
        handle = layer.writer.reduce(reduction, tensor.handle, range(2, rank + 2), keepdims=keepdims)
        channels = channels_of(tensor, data_format)
        if keepdims:
            return Tensor(handle, map_shape(channels, (1,) * rank, data_format), tensor.moved)
        return Tensor(handle, (channels,))


def _adaptive_pool(how: str, rank: int) -> None:
    @LAYERS.row(f"Adaptive{'Max' if how == 'max' else 'Average'}Pooling{rank}D")
    def pool(layer: Layer) -> Tensor:
        data_format, writer = layer.data_format(), layer.writer
        tensor, wanted = layer.map(data_format, rank), layer.settings.sides("output_size", 1, rank)
        if not 1 <= min(wanted) <= max(wanted) <= MOST_STEPS:
            raise layer.settings.unsupported(f"output_size is {wanted}")
        handle = tensor.handle
        for axis, (side, steps) in enumerate(zip(sides_of(tensor, data_format), wanted, strict=True), start=2):
            windows = [(step * side // steps, -(-(step + 1) * side // steps)) for step in range(steps)]
            parts = [writer.slice(handle, axis, *window) for window in windows]
            handle = writer.concatenate([writer.reduce(how, part, [axis], keepdims=True) for part in parts], axis)
        return Tensor(handle, map_shape(channels_of(tensor, data_format), wanted, data_format), tensor.moved)


for _rank in _RANKS.values():
    _pool("max", _rank)
    _pool("avg", _rank)
    _adaptive_pool("max", _rank)
    _adaptive_pool("mean", _rank)

"""What every kind of layer computes for inference.

Sources: the layers of ``keras/src/layers`` and their backend in ``keras/src/backend/tensorflow/nn.py``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tlkit.inference.compiler.activations import above, leaky_relu
from tlkit.inference.compiler.row import Layer, Table
from tlkit.inference.compiler.tensors import (
    Tensor,
    along,
    as_map,
    constant_for,
    in_keras_order,
    map_shape,
    with_handle,
)
from tlkit.inference.compiler.writer import Handle

LAYERS = Table()
"""By class."""

_MOST_STEPS = 1000
"""Steps that are written out one by one."""

_RANKS = {"1D": 1, "2D": 2, "3D": 3}


# --- convolutions and pooling ------------------------------------------------------------------------------------


def _sides(tensor: Tensor, data_format: str) -> tuple[int, ...]:
    return tensor.shape[1:] if data_format == "channels_first" else tensor.shape[:-1]


def _channels(tensor: Tensor, data_format: str) -> int:
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
    (begin, end), sides = _window(_sides(tensor, data_format), kernel.shape[:rank], strides, dilation, padding)
    if min(sides) < 1:
        raise layer.settings.unsupported(f"has an output of {sides}")
    handle = tensor.handle
    if tensor.padded and math.prod(kernel.shape[:rank]) == 1 and max(strides) > 1:
        # OpenVINO joins the padding and this convolution, and gets the stride wrong: take the pixels beforehand
        for place, (side, stride) in enumerate(zip(_sides(tensor, data_format), strides, strict=True), start=2):
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
        groups=_channels(tensor, data_format) // kernel.shape[-2],
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
    for number, (side, extent, stride) in enumerate(zip(_sides(tensor, data_format), size, strides, strict=True)):
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
        (begin, end), sides = _window(_sides(tensor, data_format), size, strides, (1,) * rank, padding)
        if min(sides) < 1:
            raise settings.unsupported(f"has an output of {sides}")
        handle = layer.writer.pool(how, tensor.handle, size, strides, begin, end)
        return Tensor(handle, map_shape(_channels(tensor, data_format), sides, data_format), tensor.moved)

    @LAYERS.row(f"Global{name}{rank}D")
    def global_pool(layer: Layer) -> Tensor:
        data_format, keepdims = layer.data_format(), bool(layer.settings.get("keepdims", False))
        tensor = layer.map(data_format, rank)
        reduction = {"max": "max", "avg": "mean"}[how]
        handle = layer.writer.reduce(reduction, tensor.handle, range(2, rank + 2), keepdims=keepdims)
        channels = _channels(tensor, data_format)
        if keepdims:
            return Tensor(handle, map_shape(channels, (1,) * rank, data_format), tensor.moved)
        return Tensor(handle, (channels,))


def _adaptive_pool(how: str, rank: int) -> None:
    @LAYERS.row(f"Adaptive{'Max' if how == 'max' else 'Average'}Pooling{rank}D")
    def pool(layer: Layer) -> Tensor:
        data_format, writer = layer.data_format(), layer.writer
        tensor, wanted = layer.map(data_format, rank), layer.settings.sides("output_size", 1, rank)
        if not 1 <= min(wanted) <= max(wanted) <= _MOST_STEPS:
            raise layer.settings.unsupported(f"output_size is {wanted}")
        handle = tensor.handle
        for axis, (side, steps) in enumerate(zip(_sides(tensor, data_format), wanted, strict=True), start=2):
            windows = [(step * side // steps, -(-(step + 1) * side // steps)) for step in range(steps)]
            parts = [writer.slice(handle, axis, *window) for window in windows]
            handle = writer.concatenate([writer.reduce(how, part, [axis], keepdims=True) for part in parts], axis)
        return Tensor(handle, map_shape(_channels(tensor, data_format), wanted, data_format), tensor.moved)


for _rank in _RANKS.values():
    _pool("max", _rank)
    _pool("avg", _rank)
    _adaptive_pool("max", _rank)
    _adaptive_pool("mean", _rank)


# --- margins and sizes -------------------------------------------------------------------------------------------


@LAYERS.row("ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D")
def _zero_padding(layer: Layer) -> Tensor:
    rank, data_format = len(layer.input.shape) - 1, layer.data_format()
    tensor, margins = layer.map(data_format, rank), layer.settings.margins("padding", rank)
    if halves := layer.settings.get("downsampling"):  # of our own tables: one less in front of a map that is even
        before = _sides(tensor, data_format)
        margins = tuple((half - 1 + side % 2, half) for half, side in zip(halves, before, strict=True))
    begin, end = [0, 0, *(before for before, _ in margins)], [0, 0, *(behind for _, behind in margins)]
    sides = [side + sum(margin) for side, margin in zip(_sides(tensor, data_format), margins, strict=True)]
    handle = layer.writer.pad(tensor.handle, begin, end)
    shape = map_shape(_channels(tensor, data_format), sides, data_format)
    return Tensor(handle, shape, tensor.moved, padded=True)


@LAYERS.row("Cropping1D", "Cropping2D", "Cropping3D")
def _cropping(layer: Layer) -> Tensor:
    rank, data_format = len(layer.input.shape) - 1, layer.data_format()
    tensor, margins = layer.map(data_format, rank), layer.settings.margins("cropping", rank)
    sides, handle = list(_sides(tensor, data_format)), tensor.handle
    for number, (before, behind) in enumerate(margins):
        side = sides[number]
        sides[number] = side - before - behind
        if sides[number] < 1:
            raise layer.settings.unsupported("crops all of its input")
        if before or behind:
            handle = layer.writer.slice(handle, number + 2, before, side - behind)
    return Tensor(handle, map_shape(_channels(tensor, data_format), sides, data_format), tensor.moved)


@LAYERS.row("UpSampling2D")
def _upsampling(layer: Layer) -> Tensor:
    data_format = layer.data_format()
    tensor, factors = layer.map(data_format, 2), layer.settings.sides("size", 2, 2)
    how = layer.settings.choice("interpolation", "nearest", "nearest", "bilinear")
    sides = [side * factor for side, factor in zip(_sides(tensor, data_format), factors, strict=True)]
    handle = layer.writer.resize(tensor.handle, sides, how)
    return Tensor(handle, map_shape(_channels(tensor, data_format), sides, data_format), tensor.moved)


@LAYERS.row("UpSampling1D", "UpSampling3D")
def _repeating(layer: Layer) -> Tensor:
    rank = len(layer.input.shape) - 1
    data_format = layer.data_format()
    tensor, factors = layer.map(data_format, rank), layer.settings.sides("size", 2, rank)
    sides, handle = list(_sides(tensor, data_format)), tensor.handle
    for number, factor in enumerate(factors):
        handle = layer.writer.gather(handle, [place // factor for place in range(sides[number] * factor)], number + 2)
        sides[number] *= factor
    return Tensor(handle, map_shape(_channels(tensor, data_format), sides, data_format), tensor.moved)


def _nearest(side: int, wanted: int) -> list[int]:
    """Return which pixels TensorFlow takes, in its precision."""
    places = (np.arange(wanted, dtype=np.float32) + np.float32(0.5)) * np.float32(side / wanted)
    return [min(int(place), side - 1) for place in places]


def _resized(layer: Layer, tensor: Tensor, sides: Sequence[int], how: str) -> Handle:
    if how == "bilinear":
        return layer.writer.resize(tensor.handle, sides, how)
    handle = tensor.handle
    for axis, (side, wanted) in enumerate(zip(_sides(tensor, layer.data_format()), sides, strict=True), start=2):
        handle = layer.writer.gather(handle, _nearest(side, wanted), axis)
    return handle


def _part(layer: Layer, tensor: Tensor, sides: Sequence[int]) -> Tensor:
    """Emit the middle of a map."""
    data_format, handle = layer.data_format(), tensor.handle
    for axis, (side, wanted) in enumerate(zip(_sides(tensor, data_format), sides, strict=True), start=2):
        if wanted != side:
            start = (side - wanted) // 2
            handle = layer.writer.slice(handle, axis, start, start + wanted)
    return Tensor(handle, map_shape(_channels(tensor, data_format), sides, data_format), tensor.moved)


def _of_ratio(sides: Sequence[int], wanted: Sequence[int]) -> list[int]:
    """Return each side of a map if the other stays, at the ratio that is wanted, as Keras rounds."""
    (height, width), (tall, wide) = sides, wanted
    return [int(np.float32(width * tall) / np.float32(wide)), int(np.float32(height * wide) / np.float32(tall))]


def _cropped_to_ratio(layer: Layer, tensor: Tensor, wanted: Sequence[int]) -> Tensor:
    sides = _sides(tensor, layer.data_format())
    fitting = [max(min(side, most), 1) for side, most in zip(sides, _of_ratio(sides, wanted), strict=True)]
    return _part(layer, tensor, fitting)


def _padded_to_ratio(layer: Layer, tensor: Tensor, wanted: Sequence[int]) -> Tensor:
    data_format = layer.data_format()
    sides, value = _sides(tensor, data_format), float(layer.settings.get("fill_value", 0.0))
    margins = [max(side, least) - side for side, least in zip(sides, _of_ratio(sides, wanted), strict=True)]
    halves = [0, 0, *(margin // 2 for margin in margins)]
    handle = layer.writer.pad(tensor.handle, halves, halves, value=value)
    padded = [side + 2 * half for side, half in zip(sides, halves[2:], strict=True)]
    return Tensor(handle, map_shape(_channels(tensor, data_format), padded, data_format), tensor.moved)


@LAYERS.row("Resizing")
def _resizing(layer: Layer) -> Tensor:
    settings, data_format = layer.settings, layer.data_format()
    tensor = layer.map(data_format, 2)
    sides = [int(settings.get("height")), int(settings.get("width"))]
    how = settings.choice("interpolation", "bilinear", "bilinear", "nearest")
    settings.only("antialias", False)
    settings.only("fill_mode", "constant")
    settings.skip("fill_value")
    if settings.get("crop_to_aspect_ratio", False):
        tensor = _cropped_to_ratio(layer, tensor, sides)
    if settings.get("pad_to_aspect_ratio", False):
        tensor = _padded_to_ratio(layer, tensor, sides)
    handle = _resized(layer, tensor, sides, how)
    return Tensor(handle, map_shape(_channels(tensor, data_format), sides, data_format), tensor.moved)


@LAYERS.row("CenterCrop")
def _center_crop(layer: Layer) -> Tensor:
    settings, data_format = layer.settings, layer.data_format()
    tensor = layer.map(data_format, 2)
    wanted = [int(settings.get("height")), int(settings.get("width"))]
    if all(side >= most for side, most in zip(_sides(tensor, data_format), wanted, strict=True)):
        return _part(layer, tensor, wanted)
    handle = layer.writer.resize(_cropped_to_ratio(layer, tensor, wanted).handle, wanted, "bilinear")
    return Tensor(handle, map_shape(_channels(tensor, data_format), wanted, data_format), tensor.moved)


# --- vectors -----------------------------------------------------------------------------------------------------


@LAYERS.row("Dense")
def _dense(layer: Layer) -> Tensor:
    layer.settings.skip("units", "use_bias")
    kernel, tensor = layer.weight("kernel"), layer.plain()
    product = layer.writer.matmul(tensor.handle, layer.writer.constant(kernel))
    output = Tensor(product, (*tensor.shape[:-1], kernel.shape[-1]))
    return layer.activated(layer.scaled(output, -1, scale=None, offset=layer.weights.get("bias")))


@LAYERS.row("Flatten")
def _flatten(layer: Layer) -> Tensor:
    tensor = layer.input
    size = math.prod(tensor.shape)
    if layer.data_format() == "channels_first" and len(tensor.shape) > 1:  # it counts channels last all the same
        rank = len(tensor.shape) + 1
        plain = in_keras_order(layer.writer, tensor)
        handle = layer.writer.transpose(plain.handle, (0, *range(2, rank), 1))
    elif tensor.moved and math.prod(tensor.shape[:-1]) == 1:
        handle = tensor.handle
    else:
        handle = in_keras_order(layer.writer, tensor).handle
    return Tensor(layer.writer.reshape(handle, (-1, size)), (size,))


def reshaped(layer: Layer, tensor: Tensor, shape: Sequence[int]) -> Tensor:
    """Emit a change of shape; one size may be -1."""
    size, known = math.prod(tensor.shape), math.prod(side for side in shape if side != -1)
    shape = tuple(size // known if side == -1 else side for side in shape)
    if math.prod(shape) != size:
        raise layer.settings.unsupported(f"reshapes {tensor.shape} to {shape}")
    if len(shape) > 1 and math.prod(shape[:-1]) == 1 and (not tensor.moved or math.prod(tensor.shape[:-1]) == 1):
        handle = layer.writer.reshape(tensor.handle, (-1, shape[-1], *shape[:-1]))  # one pixel: in either order
        return Tensor(handle, shape, moved=True)
    if shape == tensor.shape:
        return tensor
    plain = in_keras_order(layer.writer, tensor)
    return Tensor(layer.writer.reshape(plain.handle, (-1, *shape)), shape)


@LAYERS.row("Reshape")
def _reshape(layer: Layer) -> Tensor:
    shape = tuple(-1 if side is None else int(side) for side in layer.settings.get("target_shape", ()))
    return reshaped(layer, layer.input, shape)


@LAYERS.row("Permute")
def _permute(layer: Layer) -> Tensor:
    axes, tensor = tuple(layer.settings.get("dims")), layer.plain()
    shape = tuple(tensor.shape[axis - 1] for axis in axes)
    return Tensor(layer.writer.transpose(tensor.handle, (0, *axes)), shape)


@LAYERS.row("RepeatVector")
def _repeat_vector(layer: Layer) -> Tensor:
    times, tensor = int(layer.settings.get("n")), layer.plain()
    if times > _MOST_STEPS:
        raise layer.settings.unsupported(f"repeats {times} times")
    row = layer.writer.reshape(tensor.handle, (-1, 1, *tensor.shape))
    return Tensor(layer.writer.concatenate([row] * times, 1), (times, *tensor.shape))


# --- scale and offset --------------------------------------------------------------------------------------------


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


def _axes(layer: Layer, default: int = -1) -> list[int]:
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
    settings, tensor, axes = layer.settings, layer.input, _axes(layer)
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
    if _axes(layer) != [len(tensor.shape)]:
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
    settings, tensor, axes = layer.settings, layer.input, _axes(layer)
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


# --- several tensors ---------------------------------------------------------------------------------------------


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


# --- activations -------------------------------------------------------------------------------------------------


@LAYERS.row("Activation")
def _activation(layer: Layer) -> Tensor:
    return layer.activated(layer.input)


@LAYERS.row("ReLU")
def _relu(layer: Layer) -> Tensor:
    settings, tensor, writer = layer.settings, layer.input, layer.writer
    most = settings.get("max_value")
    slope, threshold = settings.get("negative_slope", 0.0), settings.get("threshold", 0.0)
    if threshold:
        kept = above(writer, tensor.handle, threshold)
        kept = kept if most is None else writer.clip(kept, 0, most)
        missing = writer.unary("relu", writer.binary("subtract", layer.number(threshold), tensor.handle))
        return with_handle(
            tensor, writer.binary("subtract", kept, writer.binary("multiply", missing, layer.number(slope)))
        )
    if most is not None and not slope:
        return with_handle(tensor, writer.clip(tensor.handle, 0, most))
    handle = leaky_relu(writer, tensor.handle, slope)
    return with_handle(tensor, handle if most is None else writer.binary("minimum", handle, layer.number(most)))


@LAYERS.row("LeakyReLU")
def _leaky_relu(layer: Layer) -> Tensor:
    slope = layer.settings.get("negative_slope", layer.settings.get("alpha", 0.3))
    return with_handle(layer.input, leaky_relu(layer.writer, layer.input.handle, slope))


@LAYERS.row("ELU")
def _elu(layer: Layer) -> Tensor:
    return with_handle(layer.input, layer.writer.elu(layer.input.handle, layer.settings.get("alpha", 1.0)))


@LAYERS.row("PReLU")
def _prelu(layer: Layer) -> Tensor:
    layer.settings.skip("shared_axes")
    alpha, writer = layer.weight("alpha"), layer.writer
    tensor = layer.input
    if tensor.moved and math.prod(alpha.shape[:-1]) == 1:
        slope = along(writer, tensor, -1, alpha.reshape(-1))
    else:
        tensor = in_keras_order(writer, tensor)
        slope = writer.constant(alpha[np.newaxis])
    negative = writer.binary("minimum", tensor.handle, layer.number(0))
    handle = writer.binary("add", writer.unary("relu", tensor.handle), writer.binary("multiply", slope, negative))
    return with_handle(tensor, handle)


@LAYERS.row("Softmax")
def _softmax(layer: Layer) -> Tensor:
    tensor, writer = layer.input, layer.writer
    axes = [tensor.axis(axis) for axis in _axes(layer)]
    if len(axes) == 1:
        return with_handle(tensor, writer.softmax(tensor.handle, axes[0]))
    moved = writer.binary("subtract", tensor.handle, writer.reduce("max", tensor.handle, axes, keepdims=True))
    powers = writer.unary("exp", moved)
    return with_handle(tensor, writer.binary("divide", powers, writer.reduce("sum", powers, axes, keepdims=True)))


# --- layers that only work while training ------------------------------------------------------------------------


@LAYERS.row(
    "ActivityRegularization", "AlphaDropout", "AugMix", "CutMix", "Dropout", "GaussianDropout", "GaussianNoise",
    "Identity", "MixUp", "RandAugment", "RandomBrightness", "RandomColorDegeneration", "RandomColorJitter",
    "RandomContrast", "RandomElasticTransform", "RandomErasing", "RandomFlip", "RandomGaussianBlur", "RandomGrayscale",
    "RandomHue", "RandomInvert", "RandomPerspective", "RandomPosterization", "RandomRotation", "RandomSaturation",
    "RandomSharpness", "RandomShear", "RandomTranslation", "RandomZoom", "Solarization", "SpatialDropout1D",
    "SpatialDropout2D", "SpatialDropout3D", "StochasticDepth",
)  # fmt: skip
def _unchanged(layer: Layer) -> Tensor:
    layer.settings.skip(
        "drop_path_rate", "l1", "l2", "stddev", "factor", "value_range", "mode", "data_format", "fill_mode",
        "fill_value", "interpolation", "height_factor", "width_factor", "x_factor", "y_factor", "brightness_factor",
        "contrast_factor", "hue_factor", "saturation_factor", "addition_factor", "threshold_factor", "scale", "sigma",
        "kernel_size", "alpha", "all_ops", "chain_depth", "num_chains", "num_ops",
    )  # fmt: skip
    return layer.input

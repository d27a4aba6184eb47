"""Layers that pad, crop and resize maps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tlkit.inference.compiler.layers.convolutions import channels_of, sides_of
from tlkit.inference.compiler.layers.table import LAYERS
from tlkit.inference.compiler.row import Layer
from tlkit.inference.compiler.tensors import (
    Tensor,
    map_shape,
)
from tlkit.inference.compiler.writer import Handle


def _map_of(tensor: Tensor, handle: Handle, sides: Sequence[int], data_format: str) -> Tensor:
    """Return a map with the channels of another and sides of its own."""
    return Tensor(handle, map_shape(channels_of(tensor, data_format), sides, data_format), tensor.moved)


@LAYERS.row("ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D")
def _zero_padding(layer: Layer) -> Tensor:
    rank, data_format = len(layer.input.shape) - 1, layer.data_format()
    tensor, margins = layer.map(data_format, rank), layer.settings.margins("padding", rank)
    if halves := layer.settings.get("downsampling"):  # of our own tables: one less in front of a map that is even
        before = sides_of(tensor, data_format)
        margins = tuple((half - 1 + side % 2, half) for half, side in zip(halves, before, strict=True))
    begin, end = [0, 0, *(before for before, _ in margins)], [0, 0, *(behind for _, behind in margins)]
    sides = [side + sum(margin) for side, margin in zip(sides_of(tensor, data_format), margins, strict=True)]
    handle = layer.writer.pad(tensor.handle, begin, end)
    shape = map_shape(channels_of(tensor, data_format), sides, data_format)
    return Tensor(handle, shape, tensor.moved, padded=True)


@LAYERS.row("Cropping1D", "Cropping2D", "Cropping3D")
def _cropping(layer: Layer) -> Tensor:
    rank, data_format = len(layer.input.shape) - 1, layer.data_format()
    tensor, margins = layer.map(data_format, rank), layer.settings.margins("cropping", rank)
    sides, handle = list(sides_of(tensor, data_format)), tensor.handle
    for number, (before, behind) in enumerate(margins):
        side = sides[number]
        sides[number] = side - before - behind
        if sides[number] < 1:
            raise layer.settings.unsupported("crops all of its input")
        if before or behind:
            handle = layer.writer.slice(handle, number + 2, before, side - behind)
    return _map_of(tensor, handle, sides, data_format)


@LAYERS.row("UpSampling2D")
def _upsampling(layer: Layer) -> Tensor:
    data_format = layer.data_format()
    tensor, factors = layer.map(data_format, 2), layer.settings.sides("size", 2, 2)
    how = layer.settings.choice("interpolation", "nearest", "nearest", "bilinear")
    sides = [side * factor for side, factor in zip(sides_of(tensor, data_format), factors, strict=True)]
    handle = layer.writer.resize(tensor.handle, sides, how)
    return _map_of(tensor, handle, sides, data_format)


@LAYERS.row("UpSampling1D", "UpSampling3D")
def _repeating(layer: Layer) -> Tensor:
    rank = len(layer.input.shape) - 1
    data_format = layer.data_format()
    tensor, factors = layer.map(data_format, rank), layer.settings.sides("size", 2, rank)
    sides, handle = list(sides_of(tensor, data_format)), tensor.handle
    for number, factor in enumerate(factors):
        handle = layer.writer.gather(handle, [place // factor for place in range(sides[number] * factor)], number + 2)
        sides[number] *= factor
    return _map_of(tensor, handle, sides, data_format)


def _nearest(side: int, wanted: int) -> list[int]:
    """Return which pixels TensorFlow takes, in its precision."""
    places = (np.arange(wanted, dtype=np.float32) + np.float32(0.5)) * np.float32(side / wanted)
    return [min(int(place), side - 1) for place in places]


def _resized(layer: Layer, tensor: Tensor, sides: Sequence[int], how: str) -> Handle:
    if how == "bilinear":
        return layer.writer.resize(tensor.handle, sides, how)
    handle = tensor.handle
    for axis, (side, wanted) in enumerate(zip(sides_of(tensor, layer.data_format()), sides, strict=True), start=2):
        handle = layer.writer.gather(handle, _nearest(side, wanted), axis)
    return handle


def _part(layer: Layer, tensor: Tensor, sides: Sequence[int]) -> Tensor:
    """Emit the middle of a map."""
    data_format, handle = layer.data_format(), tensor.handle
    for axis, (side, wanted) in enumerate(zip(sides_of(tensor, data_format), sides, strict=True), start=2):
        if wanted != side:
            start = (side - wanted) // 2
            handle = layer.writer.slice(handle, axis, start, start + wanted)
    return _map_of(tensor, handle, sides, data_format)


def _of_ratio(sides: Sequence[int], wanted: Sequence[int]) -> list[int]:
    """Return each side of a map if the other stays, at the ratio that is wanted, as Keras rounds."""
    (height, width), (tall, wide) = sides, wanted
    return [int(np.float32(width * tall) / np.float32(wide)), int(np.float32(height * wide) / np.float32(tall))]


def _cropped_to_ratio(layer: Layer, tensor: Tensor, wanted: Sequence[int]) -> Tensor:
    sides = sides_of(tensor, layer.data_format())
    fitting = [max(min(side, most), 1) for side, most in zip(sides, _of_ratio(sides, wanted), strict=True)]
    return _part(layer, tensor, fitting)


def _padded_to_ratio(layer: Layer, tensor: Tensor, wanted: Sequence[int]) -> Tensor:
    data_format = layer.data_format()
    sides, value = sides_of(tensor, data_format), float(layer.settings.get("fill_value", 0.0))
    margins = [max(side, least) - side for side, least in zip(sides, _of_ratio(sides, wanted), strict=True)]
    halves = [0, 0, *(margin // 2 for margin in margins)]
    handle = layer.writer.pad(tensor.handle, halves, halves, value=value)
    padded = [side + 2 * half for side, half in zip(sides, halves[2:], strict=True)]
    return _map_of(tensor, handle, padded, data_format)


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
    return _map_of(tensor, handle, sides, data_format)


@LAYERS.row("CenterCrop")
def _center_crop(layer: Layer) -> Tensor:
    settings, data_format = layer.settings, layer.data_format()
    tensor = layer.map(data_format, 2)
    wanted = [int(settings.get("height")), int(settings.get("width"))]
    if all(side >= most for side, most in zip(sides_of(tensor, data_format), wanted, strict=True)):
        return _part(layer, tensor, wanted)
    handle = layer.writer.resize(_cropped_to_ratio(layer, tensor, wanted).handle, wanted, "bilinear")
    return _map_of(tensor, handle, wanted, data_format)

"""Dense, and layers that put values in another shape."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tlkit.inference.compiler.layers.table import LAYERS, MOST_STEPS
from tlkit.inference.compiler.row import Layer
from tlkit.inference.compiler.tensors import (
    Tensor,
    in_keras_order,
)


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
    if times > MOST_STEPS:
        raise layer.settings.unsupported(f"repeats {times} times")
    row = layer.writer.reshape(tensor.handle, (-1, 1, *tensor.shape))
    return Tensor(layer.writer.concatenate([row] * times, 1), (times, *tensor.shape))

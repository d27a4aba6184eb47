"""Layers that are an activation."""

from __future__ import annotations

import math

import numpy as np

from tlkit.inference.compiler.activations import above, leaky_relu
from tlkit.inference.compiler.layers.normalization import axes_of
from tlkit.inference.compiler.layers.table import LAYERS
from tlkit.inference.compiler.row import Layer
from tlkit.inference.compiler.tensors import (
    Tensor,
    along,
    in_keras_order,
    with_handle,
)


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
    axes = [tensor.axis(axis) for axis in axes_of(layer)]
    if len(axes) == 1:
        return with_handle(tensor, writer.softmax(tensor.handle, axes[0]))
    moved = writer.binary("subtract", tensor.handle, writer.reduce("max", tensor.handle, axes, keepdims=True))
    powers = writer.unary("exp", moved)
    return with_handle(tensor, writer.binary("divide", powers, writer.reduce("sum", powers, axes, keepdims=True)))

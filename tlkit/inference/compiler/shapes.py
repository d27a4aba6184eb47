"""The shapes of a network: of the weights that its layers have, and of its outputs. Nothing is computed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tlkit.inference.compiler.emit import emit_call
from tlkit.inference.compiler.graph import Graph, Shape, Unsupported
from tlkit.inference.compiler.tensors import Tensor

Weights = list[tuple[str, Shape]]
"""``(role, shape)`` of each weight, trainable ones first, as in files."""

MOST_VALUES = 1_000_000_000
"""Values of an output or a weight; no image model comes near it."""

MOST_CHANNELS = 10_000_000
"""Values of a weight with one axis: a few of those are computed with here."""


class _NoWriter:
    """A writer that computes nothing."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *arguments, **keywords: None


def infer_shapes(
    graph: Graph, source: Tensor, weights: Mapping[tuple[str, ...], tuple[str, Weights]] | None = None
) -> tuple[dict[tuple[str, ...], tuple[str, Weights]], dict[int, Shape]]:
    """Return the weights that each layer of a graph expects, in order, and the shape of each call's output.

    Args:
        graph: The network.
        source: Its input, without a value.
        weights: Those of every layer; None where the settings tell.

    Returns:
        ``{path and name: (kind, weights)}``, and ``{number of the call: shape}``, without the batch.

    Raises:
        Unsupported: A kind of layer, or a setting, is not in the tables; a weight or an output is too large.
    """
    writer: Any = _NoWriter()
    tensors: dict[int, Tensor] = {}
    found: dict[tuple[str, ...], tuple[str, Weights]] = dict(weights or {})
    for number, call in enumerate(graph.calls):
        if call.kind == "InputLayer":
            tensors[number] = source
            continue
        if weights is None and not call.is_operation and call.layer not in found and call.kind in WEIGHTS:
            inputs = [tensors[ref.call].shape for ref in call.refs()]
            found[call.layer] = call.kind, WEIGHTS[call.kind](call.settings, inputs[0] if inputs else ())
        arrays = {}
        for role, shape in found.get(call.layer, ("", []))[1]:
            _check_size(call.name, shape, MOST_CHANNELS if len(shape) == 1 else MOST_VALUES)
            arrays[role] = np.broadcast_to(np.float32(0), shape)
        tensors[number] = emit_call(call, arrays, tensors, writer)
        _check_size(call.name, tensors[number].shape, MOST_VALUES)
    shapes = {number: tensor.shape for number, tensor in tensors.items()}
    return {layer: entry for layer, entry in found.items() if entry[1]}, shapes


def _check_size(name: str, shape: Shape, most: int) -> None:
    if math.prod(shape) > most:
        raise Unsupported(name, f"has {shape} values")


def _pair(value: Any, rank: int) -> tuple[int, ...]:
    values = tuple(value) if isinstance(value, list | tuple) else (value,) * rank
    return values * rank if len(values) == 1 else values


def _channels(settings: Mapping[str, Any], shape: Shape) -> int:
    return shape[0] if settings.get("data_format") == "channels_first" else shape[-1]


def _bias(settings: Mapping[str, Any], units: int) -> Weights:
    return [("bias", (units,))] if settings.get("use_bias", True) else []


def _conv(settings: Mapping[str, Any], shape: Shape) -> Weights:
    size, filters = _pair(settings["kernel_size"], len(shape) - 1), settings["filters"]
    groups = settings.get("groups") or 1
    return [("kernel", (*size, _channels(settings, shape) // groups, filters)), *_bias(settings, filters)]


def _conv_transpose(settings: Mapping[str, Any], shape: Shape) -> Weights:
    size, filters = _pair(settings["kernel_size"], len(shape) - 1), settings["filters"]
    return [("kernel", (*size, filters, _channels(settings, shape))), *_bias(settings, filters)]


def _depthwise(settings: Mapping[str, Any], shape: Shape) -> Weights:
    size, channels = _pair(settings["kernel_size"], len(shape) - 1), _channels(settings, shape)
    multiplier = settings.get("depth_multiplier") or 1
    return [("kernel", (*size, channels, multiplier)), *_bias(settings, channels * multiplier)]


def _separable(settings: Mapping[str, Any], shape: Shape) -> Weights:
    size, channels = _pair(settings["kernel_size"], len(shape) - 1), _channels(settings, shape)
    multiplier, filters = settings.get("depth_multiplier") or 1, settings["filters"]
    return [
        ("depthwise_kernel", (*size, channels, multiplier)),
        ("pointwise_kernel", (*(1 for _ in size), channels * multiplier, filters)),
        *_bias(settings, filters),
    ]


def _dense(settings: Mapping[str, Any], shape: Shape) -> Weights:
    return [("kernel", (shape[-1], settings["units"])), *_bias(settings, settings["units"])]


def _axis(settings: Mapping[str, Any], shape: Shape) -> int:
    axis = settings.get("axis", -1)
    if isinstance(axis, list | tuple):
        if len(axis) != 1:
            raise Unsupported(str(settings.get("name")), f"axis is {axis}")
        axis = axis[0]
    return int((1, *shape)[axis])


def _affine(settings: Mapping[str, Any], size: int) -> Weights:
    return [
        *([("gamma", (size,))] if settings.get("scale", True) else []),
        *([("beta", (size,))] if settings.get("center", True) else []),
    ]


def _batch_normalization(settings: Mapping[str, Any], shape: Shape) -> Weights:
    size = _axis(settings, shape)
    return [*_affine(settings, size), ("moving_mean", (size,)), ("moving_variance", (size,))]


def _layer_normalization(settings: Mapping[str, Any], shape: Shape) -> Weights:
    return _affine(settings, _axis(settings, shape))


def _normalization(settings: Mapping[str, Any], shape: Shape) -> Weights:
    if settings.get("mean") is not None:
        return []
    size = _axis(settings, shape)
    return [("mean", (size,)), ("variance", (size,)), ("count", ())]


def _prelu(settings: Mapping[str, Any], shape: Shape) -> Weights:
    shared = {axis % (len(shape) + 1) for axis in settings.get("shared_axes") or ()}
    return [("alpha", tuple(1 if place in shared else side for place, side in enumerate(shape, start=1)))]


def _gru(settings: Mapping[str, Any], shape: Shape) -> Weights:
    units = settings["units"]
    biases = [("bias", (3 * units,))] if settings.get("use_bias", True) else []
    return [("kernel", (shape[-1], 3 * units)), ("recurrent_kernel", (units, 3 * units)), *biases]


WEIGHTS: dict[str, Callable[[Mapping[str, Any], Shape], Weights]] = {
    **dict.fromkeys(("Conv1D", "Conv2D", "Conv3D"), _conv),
    **dict.fromkeys(("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"), _conv_transpose),
    **dict.fromkeys(("DepthwiseConv1D", "DepthwiseConv2D"), _depthwise),
    **dict.fromkeys(("SeparableConv1D", "SeparableConv2D"), _separable),
    "Dense": _dense,
    "BatchNormalization": _batch_normalization,
    "LayerNormalization": _layer_normalization,
    "GroupNormalization": _layer_normalization,
    "Normalization": _normalization,
    "PReLU": _prelu,
    "LayerScale": lambda settings, shape: [("variable", (settings["projection_dim"],))],
    "GRU": _gru,
}
"""By kind: the weights of a layer, from its settings and the shape that it is called on."""

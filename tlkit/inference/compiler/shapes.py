"""The shapes of a network: of the weights that its layers have, and of its outputs. Nothing is computed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tlkit.inference.compiler.emit import emit_call
from tlkit.inference.compiler.graph import Graph, Shape, Unsupported
from tlkit.inference.compiler.layers.attention import einsum_shapes
from tlkit.inference.compiler.layers.recurrent import backward_entry
from tlkit.inference.compiler.tensors import Tensor

Weights = list[tuple[str, Shape]]
"""``(name, shape)`` of each weight, trainable ones first, as in files: its role, behind the part of the layer that has
it, as in ``query_dense/kernel``."""

MOST_VALUES = 1_000_000_000
"""Values of an output or a weight; no image model comes near it."""

MOST_CHANNELS = 10_000_000
"""Values of a weight with one axis: a few of those are computed with here."""


def keys_of(weights: Weights) -> list[str]:
    """Return what tells the weights of a layer apart, as :attr:`tlkit.keras_files.LayerSpec.keys` does."""
    roles = [name.rpartition("/")[2] for name, _ in weights]
    return roles if len(set(roles)) == len(roles) else [name for name, _ in weights]


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
            found[call.layer] = call.kind, _weights(call.kind, call.settings, inputs)
        arrays = {}
        own = found.get(call.layer, ("", []))[1]
        for key, (_, shape) in zip(keys_of(own), own, strict=True):
            _check_size(call.name, shape, MOST_CHANNELS if len(shape) == 1 else MOST_VALUES)
            arrays[key] = np.broadcast_to(np.float32(0), shape)
        tensors[number] = emit_call(call, arrays, tensors, writer)
        _check_size(call.name, tensors[number].shape, MOST_VALUES)
    shapes = {number: tensor.shape for number, tensor in tensors.items()}
    return {layer: entry for layer, entry in found.items() if entry[1]}, shapes


def _weights(kind: str, settings: Mapping[str, Any], inputs: Sequence[Shape]) -> Weights:
    if kind == "MultiHeadAttention":
        return _multi_head_attention(settings, inputs)
    return WEIGHTS[kind](settings, inputs[0] if inputs else ())


def _held(entry: Mapping[str, Any], shape: Shape, part: str) -> Weights:
    """Return the weights of a layer that another one holds."""
    if entry["class_name"] not in WEIGHTS:
        return []
    weights = _weights(entry["class_name"], entry["config"], [shape])
    return [(f"{part}/{name}", size) for name, size in weights]


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


def _axes(settings: Mapping[str, Any], shape: Shape) -> Shape:
    """Return the sizes of the axes in the setting ``axis``."""
    axis = settings.get("axis", -1)
    axes = sorted(axis) if isinstance(axis, list | tuple) else [axis]
    if not all(isinstance(item, int) and -len(shape) - 1 <= item <= len(shape) for item in axes):
        raise Unsupported(str(settings.get("name")), f"axis is {axis}")
    return tuple((1, *shape)[item] for item in axes)


def _affine(settings: Mapping[str, Any], sizes: Shape) -> Weights:
    return [
        *([("gamma", sizes)] if settings.get("scale", True) else []),
        *([("beta", sizes)] if settings.get("center", True) else []),
    ]


def _batch_normalization(settings: Mapping[str, Any], shape: Shape) -> Weights:
    sizes = _axes(settings, shape)
    return [*_affine(settings, sizes), ("moving_mean", sizes), ("moving_variance", sizes)]


def _layer_normalization(settings: Mapping[str, Any], shape: Shape) -> Weights:
    return _affine(settings, _axes(settings, shape))


def _normalization(settings: Mapping[str, Any], shape: Shape) -> Weights:
    if settings.get("mean") is not None:
        return []
    sizes = _axes(settings, shape)
    return [("mean", sizes), ("variance", sizes), ("count", ())]


def _prelu(settings: Mapping[str, Any], shape: Shape) -> Weights:
    shared = {axis % (len(shape) + 1) for axis in settings.get("shared_axes") or ()}
    return [("alpha", tuple(1 if place in shared else side for place, side in enumerate(shape, start=1)))]


def _recurrent(settings: Mapping[str, Any], shape: Shape, gates: int) -> Weights:
    units = settings["units"]
    width = gates * units
    return [("kernel", (shape[-1], width)), ("recurrent_kernel", (units, width)), *_bias(settings, width)]


def _gru(settings: Mapping[str, Any], shape: Shape) -> Weights:
    weights = _recurrent(settings, shape, 3)
    if settings.get("reset_after", True):  # a bias before the product with the state, and one behind it
        return [(role, (2, *size) if role == "bias" else size) for role, size in weights]
    return weights


def _bidirectional(settings: Mapping[str, Any], shape: Shape) -> Weights:
    forward, backward = settings["layer"], backward_entry(settings)
    return [*_held(forward, shape, "forward_layer/cell"), *_held(backward, shape, "backward_layer/cell")]


def _spectral_normalization(settings: Mapping[str, Any], shape: Shape) -> Weights:
    weights = _held(settings["layer"], shape, "layer")
    kernel = next((size for name, size in weights if name == "layer/kernel"), ())
    return [*weights, ("vector_u", (1, *kernel[-1:]))]


def _einsum_dense(settings: Mapping[str, Any], shape: Shape) -> Weights:
    shapes = einsum_shapes(settings, shape)
    if shapes is None:
        raise Unsupported(str(settings.get("name")), f"equation is {settings['equation']!r}")
    kernel, bias, _ = shapes
    return [("kernel", kernel), *([("bias", bias)] if bias is not None else [])]


def _multi_head_attention(settings: Mapping[str, Any], inputs: Sequence[Shape]) -> Weights:
    query, value, *others = inputs
    heads, size = settings["num_heads"], settings["key_dim"]
    value_size, given = settings.get("value_dim") or size, settings.get("output_shape") or query[-1]
    output = (given,) if isinstance(given, int) else tuple(given)
    found: Weights = []
    for part, width, shape in (
        ("query_dense", query[-1], (heads, size)),
        ("key_dense", (others[0] if others else value)[-1], (heads, size)),
        ("value_dense", value[-1], (heads, value_size)),
    ):
        found += [(f"{part}/kernel", (width, *shape)), *((f"{part}/{role}", shape) for role, _ in _bias(settings, 1))]
    last = [("output_dense/kernel", (heads, value_size, *output))]
    return [*found, *last, *(("output_dense/bias", output) for _ in _bias(settings, 1))]


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
    "RMSNormalization": lambda settings, shape: [("scale", _axes(settings, shape))],
    "GRU": _gru,
    "LSTM": lambda settings, shape: _recurrent(settings, shape, 4),
    "SimpleRNN": lambda settings, shape: _recurrent(settings, shape, 1),
    "Bidirectional": _bidirectional,
    "TimeDistributed": lambda settings, shape: _held(settings["layer"], shape[1:], "layer"),
    "SpectralNormalization": _spectral_normalization,
    "EinsumDense": _einsum_dense,
    "Attention": lambda settings, shape: [("scale", ())] if settings.get("use_scale", False) else [],
    "AdditiveAttention": lambda settings, shape: [("scale", shape[-1:])] if settings.get("use_scale", True) else [],
    "MultiHeadAttention": lambda settings, shape: _multi_head_attention(settings, [shape, shape]),
}
"""By kind: the weights of a layer, from its settings and the shape that it is called on."""

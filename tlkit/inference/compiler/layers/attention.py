"""What attention and the general products of tensors compute.

Sources: ``keras/src/layers/attention``, ``core/einsum_dense.py`` and ``merging/dot.py``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tlkit.inference.compiler.graph import Shape
from tlkit.inference.compiler.layers.table import LAYERS
from tlkit.inference.compiler.row import Layer
from tlkit.inference.compiler.tensors import Tensor, in_keras_order
from tlkit.inference.compiler.writer import Handle


def _query_value_key(layer: Layer) -> list[Tensor]:
    if len(layer.inputs) not in (2, 3):
        raise layer.settings.unsupported(f"is called on {len(layer.inputs)} tensors")
    query, value, *key = (in_keras_order(layer.writer, tensor) for tensor in layer.inputs)
    return [query, value, *(key or [value])]


@LAYERS.row("Attention")
def _attention(layer: Layer) -> Tensor:
    layer.settings.choice("score_mode", "dot", "dot")
    layer.settings.skip("dropout", "use_scale")
    query, value, key = _sequences(layer)
    scores = layer.writer.matmul(query.handle, layer.writer.transpose(key.handle, (0, 2, 1)))
    if "scale" in layer.weights:
        scores = layer.writer.binary("multiply", scores, layer.writer.constant(layer.weights["scale"].reshape(1, 1, 1)))
    return _attended(layer, scores, query, value)


@LAYERS.row("AdditiveAttention")
def _additive_attention(layer: Layer) -> Tensor:
    layer.settings.skip("dropout", "use_scale")
    writer = layer.writer
    query, value, key = _sequences(layer)
    one = writer.reshape(query.handle, (-1, query.shape[0], 1, query.shape[1]))
    other = writer.reshape(key.handle, (-1, 1, *key.shape))
    product = writer.unary("tanh", writer.binary("add", one, other))
    if "scale" in layer.weights:
        product = writer.binary("multiply", product, writer.constant(layer.weights["scale"].reshape(1, 1, 1, -1)))
    return _attended(layer, writer.reduce("sum", product, [3], keepdims=False), query, value)


def _sequences(layer: Layer) -> list[Tensor]:
    tensors = _query_value_key(layer)
    if any(len(tensor.shape) != 2 for tensor in tensors):
        raise layer.settings.unsupported("is called on other things than sequences")
    return tensors


def _attended(layer: Layer, scores: Handle, query: Tensor, value: Tensor) -> Tensor:
    handle = layer.writer.matmul(layer.writer.softmax(scores, 2), value.handle)
    return Tensor(handle, (query.shape[0], value.shape[1]))


@LAYERS.row("MultiHeadAttention")
def _multi_head_attention(layer: Layer) -> Tensor:
    settings, writer = layer.settings, layer.writer
    heads, size = int(settings.get("num_heads")), int(settings.get("key_dim"))
    settings.skip("value_dim", "dropout", "use_bias", "output_shape", "flash_attention")
    settings.only("sliding_window")
    settings.only("use_gate", False)
    query, value, key = _query_value_key(layer)
    rank = len(query.shape)
    if {len(value.shape), len(key.shape)} != {rank}:
        raise settings.unsupported("is called on tensors with different numbers of axes")
    settings.only("attention_axes", [*range(1, rank)], tuple(range(1, rank)))

    def projected(name: str, tensor: Tensor, axes: Sequence[int]) -> Handle:
        """Emit rows by head, ``(batch, heads, places, size)``, in another order of axes."""
        weights = layer.part(name)
        kernel = weights["kernel"].reshape(tensor.shape[-1], -1)
        places = math.prod(tensor.shape[:-1])
        rows = writer.matmul(writer.reshape(tensor.handle, (-1, places, tensor.shape[-1])), writer.constant(kernel))
        if "bias" in weights:
            rows = writer.binary("add", rows, writer.constant(weights["bias"].reshape(1, 1, -1)))
        return writer.transpose(writer.reshape(rows, (-1, places, heads, kernel.shape[1] // heads)), axes)

    queries = writer.binary("multiply", projected("query_dense", query, (0, 2, 1, 3)), layer.number(size**-0.5))
    scores = writer.matmul(queries, projected("key_dense", key, (0, 2, 3, 1)))
    mixed = writer.matmul(writer.softmax(scores, 3), projected("value_dense", value, (0, 2, 1, 3)))
    weights = layer.part("output_dense")
    kernel = weights["kernel"]
    if kernel.ndim != 3:
        raise settings.unsupported(f"output_shape is {settings.get('output_shape')}")
    kernel = kernel.reshape(-1, kernel.shape[-1])
    rows = writer.reshape(writer.transpose(mixed, (0, 2, 1, 3)), (-1, *query.shape[:-1], kernel.shape[0]))
    output = Tensor(writer.matmul(rows, writer.constant(kernel)), (*query.shape[:-1], kernel.shape[1]))
    return layer.scaled(output, -1, scale=None, offset=weights.get("bias"))


def einsum_shapes(settings: Mapping[str, Any], shape: Shape) -> tuple[Shape, Shape | None, Shape] | None:
    """Return the shapes of the kernel, the bias and the output of an EinsumDense; None for an equation of another form.

    Args:
        settings: Its settings.
        shape: What it is called on, without the batch.
    """
    match = re.fullmatch(r"(\.\.\.)?(\w+),(\w+)->(\.\.\.)?(\w+)", str(settings["equation"]).replace(" ", ""))
    if not match or bool(match[1]) != bool(match[4]):
        return None
    left, inner, right = match[2], match[3], match[5]
    elided = len(shape) + 1 - len(left)
    if elided < 0 or (elided > 0) != bool(match[1]):
        return None
    if not elided and (left[0] != right[0] or left[0] in inner):
        return None
    summed = [label for label in left if label not in right]
    free = [label for label in left if label in right]
    new = [label for label in inner if label not in left]
    # the axes of the input that stay, then those of the kernel: a product of matrices
    if not summed or [*free, *new] != [*right] or {*summed, *new} != {*inner} or len({*inner}) != len(inner):
        return None
    sizes = dict(zip(left[::-1], shape[::-1], strict=False))
    given = settings["output_shape"]
    given = [given] if isinstance(given, int) else given
    sizes |= {label: size for label, size in zip(right[::-1], given[::-1], strict=False) if label in new}
    kernel = tuple(sizes[label] for label in inner)
    labels = right if elided else right[1:]
    output = (*shape[: max(elided - 1, 0)], *(sizes[label] for label in labels))
    axes = settings.get("bias_axes")
    if not axes:
        return kernel, None, output
    first = min(right.find(label) for label in axes)
    return kernel, tuple(sizes[label] if label in axes else 1 for label in right[first:]), output


@LAYERS.row("EinsumDense")
def _einsum_dense(layer: Layer) -> Tensor:
    settings, writer, tensor = layer.settings, layer.writer, layer.plain()
    values = {key: settings.get(key) for key in ("equation", "output_shape", "bias_axes")}
    shapes = einsum_shapes(values, tensor.shape)
    settings.only("gptq_unpacked_column_size")
    if shapes is None:
        raise settings.unsupported(f"equation is {values['equation']!r}")
    _, bias_shape, output_shape = shapes
    left, inner = re.findall(r"\w+", values["equation"])[:2]
    right = re.findall(r"\w+", values["equation"])[2]
    summed = [label for label in left if label not in right]
    place = {label: number + len(tensor.shape) + 1 - len(left) for number, label in enumerate(left)}
    behind = [place[label] for label in summed]
    order = [axis for axis in range(len(tensor.shape) + 1) if axis not in behind] + behind
    kernel = layer.weight("kernel")
    new = [label for label in inner if label not in left]
    turned = np.transpose(kernel, [inner.index(label) for label in (*summed, *new)])
    width = math.prod(turned.shape[: len(summed)])
    kept = [tensor.shape[axis - 1] for axis in order[1 : len(order) - len(behind)]]
    rows = writer.reshape(writer.transpose(tensor.handle, order), (-1, *kept, width))
    product = writer.matmul(rows, writer.constant(turned.reshape(width, -1)))
    handle = writer.reshape(product, (-1, *output_shape))
    if bias_shape is not None:
        axes = len(output_shape) + 1 - len(bias_shape)
        handle = writer.binary("add", handle, writer.constant(layer.weight("bias").reshape((1,) * axes + bias_shape)))
    return layer.activated(Tensor(handle, output_shape))


@LAYERS.row("Dot")
def _dot(layer: Layer) -> Tensor:
    settings, writer = layer.settings, layer.writer
    settings.only("normalize", False)
    if len(layer.inputs) != 2:
        raise settings.unsupported(f"is called on {len(layer.inputs)} tensors")
    one, other = (in_keras_order(writer, tensor) for tensor in layer.inputs)
    axes = settings.get("axes")
    pair = [axes, axes] if isinstance(axes, int) else list(axes)
    first, second = (axis % (len(tensor.shape) + 1) for axis, tensor in zip(pair, (one, other), strict=True))
    if 0 in (first, second):
        raise settings.unsupported(f"axes is {axes}")
    size = one.shape[first - 1]
    left, right = _without(one, first), _without(other, second)
    rows = writer.transpose(one.handle, (0, *_others(one, first), first))
    columns = writer.transpose(other.handle, (0, second, *_others(other, second)))
    product = writer.matmul(
        writer.reshape(rows, (-1, math.prod(left), size)), writer.reshape(columns, (-1, size, math.prod(right)))
    )
    shape = (*left, *right) or (1,)
    return Tensor(writer.reshape(product, (-1, *shape)), shape)


def _others(tensor: Tensor, axis: int) -> list[int]:
    return [place for place in range(1, len(tensor.shape) + 1) if place != axis]


def _without(tensor: Tensor, axis: int) -> Shape:
    return tuple(tensor.shape[place - 1] for place in _others(tensor, axis))

"""Scales and offsets behind a convolution, as BatchNormalization is, become part of its kernel and bias."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Node:
    """An operation of ONNX.

    Attributes:
        kind: ``Conv``.
        inputs: Names of tensors.
        output: Name of the one that it computes.
        settings: Its attributes.
    """

    kind: str
    inputs: list[str]
    output: str
    settings: Mapping[str, Any] = field(default_factory=dict)


def fold_constants(
    nodes: Sequence[Node], constants: Mapping[str, np.ndarray]
) -> tuple[list[Node], dict[str, np.ndarray]]:
    """Return operations and constants that compute the same, with fewer operations.

    Runtimes that quantize a network do not fold what they have quantized, and some (OpenCV) fold little.

    Args:
        nodes: In an order in which they can be computed; they are not changed.
        constants: Float32 and int64, by name; they are not changed.
    """
    known = dict(constants)
    uses = Counter(name for node in nodes for name in node.inputs)
    found: list[Node] = []
    place: dict[str, int] = {}  # of the convolution whose output a tensor is
    for node in nodes:
        at = place.get(node.inputs[0]) if node.inputs else None
        if at is not None and uses[node.inputs[0]] == 1 and len(node.inputs) == 2:
            folded = _folded(found[at], node, known)
            if folded is not None:
                found[at] = folded
                place[node.output] = at
                continue
        if node.kind == "Conv":
            place[node.output] = len(found)
        found.append(node)
    return found, known


def _folded(convolution: Node, node: Node, constants: dict[str, np.ndarray]) -> Node | None:
    """Return a convolution that also computes what follows; None where it cannot. Its arrays become constants."""
    kernel = constants[convolution.inputs[1]]
    values = constants.get(node.inputs[1])
    if values is None or node.kind not in ("Mul", "Div", "Add", "Sub"):
        return None
    sides = kernel.ndim - 2
    channels = kernel.shape[0]
    if values.size != 1 and values.shape not in ((1, channels, *[1] * sides), (channels, *[1] * sides)):
        return None
    vector = np.broadcast_to(values.reshape(-1), (channels,)).astype(np.float64)
    if node.kind == "Div":
        vector = 1 / vector
    own = constants[convolution.inputs[2]] if len(convolution.inputs) > 2 else np.zeros(channels)
    bias = own.astype(np.float64)
    inputs = list(convolution.inputs[:2])
    if node.kind in ("Mul", "Div"):
        inputs[1] = f"{node.output}_kernel"
        scaled = kernel.astype(np.float64) * vector.reshape(-1, *[1] * (kernel.ndim - 1))
        constants[inputs[1]] = scaled.astype(np.float32)
        bias = bias * vector
    else:
        bias = bias + (vector if node.kind == "Add" else -vector)
    if not np.isfinite(bias).all() or not np.isfinite(constants[inputs[1]]).all():
        return None
    inputs.append(f"{node.output}_bias")
    constants[inputs[2]] = bias.astype(np.float32)
    return dataclasses.replace(convolution, inputs=inputs, output=node.output)

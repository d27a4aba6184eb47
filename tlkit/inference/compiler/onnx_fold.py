"""What stands around a convolution becomes part of it: zeros before it, scales and offsets (BatchNorm) after."""

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
        name: Its name, after the layer of Keras that it belongs to.
    """

    kind: str
    inputs: list[str]
    output: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""


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
    paddings: dict[str, Node] = {}  # by the tensor that is padded
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
            padded = paddings.get(node.inputs[0])
            if padded is not None and uses[node.inputs[0]] == 1:
                node = _with_padding(node, padded, known)
            place[node.output] = len(found)
        elif node.kind == "Pad" and _pads_sides_with_zeros(node, known):
            paddings[node.output] = node
        found.append(node)
    used = {name for node in found for name in node.inputs}
    return [node for node in found if node.output in used or node is nodes[-1]], known


def _pads_sides_with_zeros(node: Node, constants: Mapping[str, np.ndarray]) -> bool:
    if node.settings["mode"] != "constant" or constants[node.inputs[2]] != 0:
        return False
    begin, end = constants[node.inputs[1]].reshape(2, -1)
    return not (begin[:2].any() or end[:2].any()) and min(begin.min(), end.min()) >= 0


def _with_padding(convolution: Node, padding: Node, constants: Mapping[str, np.ndarray]) -> Node:
    """Return a convolution that adds the zeros itself."""
    begin, end = constants[padding.inputs[1]].reshape(2, -1)
    more = [*begin[2:].tolist(), *end[2:].tolist()]
    pads = [own + added for own, added in zip(convolution.settings["pads"], more, strict=True)]
    settings = {**convolution.settings, "pads": pads}
    return dataclasses.replace(convolution, inputs=[padding.inputs[0], *convolution.inputs[1:]], settings=settings)


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

"""The frontier of a network: the cut tensors, which cross from frozen layers to trainable ones.

What lies below it outputs the same numbers for an image in every epoch, so it needs to run only once. A network is
cut as data, so that TensorFlow need not have started.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tlkit.inference.compiler.graph import Graph
from tlkit.inference.compiler.shapes import infer_shapes
from tlkit.inference.compiler.tensors import Tensor
from tlkit.keras_files import LayerSpec
from tlkit.keras_private import calls


@dataclass(frozen=True)
class Node:
    """One call of a layer or an operation.

    Attributes:
        name: Of the layer of the network that is called, or of the operation.
        inputs: Numbers of the nodes that it is called on.
        shape: Of its output, for one image.
        has_weights: Whether the layer has weights.
    """

    name: str
    inputs: tuple[int, ...]
    shape: tuple[int, ...]
    has_weights: bool

    @property
    def size(self) -> int:
        """Number of values of its output, for one image."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class Frontier:
    """The tensors that cross from frozen layers to trainable ones.

    Attributes:
        names: Names of the layers (or operations) that output them; the trainable part depends on the image through
            these alone.
        bytes: Size of the tensors of one image as float32, in bytes.
        is_input: No layer with weights lies below: the tensor is the input of the network.
        is_output: No trainable layer lies above: the tensor is the output of the network.
    """

    names: tuple[str, ...]
    bytes: int
    is_input: bool
    is_output: bool


def nodes_of_graph(graph: Graph, layers: Sequence[LayerSpec], source: Tensor, pooling: str) -> list[Node]:
    """Return the calls of a network of one output that is known as data, inputs first, and its pooling.

    Args:
        graph: The network.
        layers: Those of its layers that have weights.
        source: Its input, without a value.
        pooling: ``avg``, ``max`` or ``none``, over height and width.

    Raises:
        Unsupported: The shapes of a layer are not known.
    """
    weights, shapes = infer_shapes(
        graph, source, {(*layer.path, layer.name): (layer.kind, list(layer.tensors)) for layer in layers}
    )
    nodes = [
        Node(
            call.layer[0],  # a layer that is a model itself is frozen or trained as one, and not cut inside
            tuple(ref.call for ref in call.refs()),
            shapes[number],
            call.layer in weights or bool(call.path),
        )
        for number, call in enumerate(graph.calls)
    ]
    (output,) = graph.outputs
    if pooling != "none":
        nodes.append(Node(f"{pooling}_pool", (output.call,), nodes[output.call].shape[-1:], has_weights=False))
    return nodes


def nodes_of_model(model: Any) -> list[Node]:
    """Return the calls of a functional ``keras.Model``, inputs first."""
    numbers: dict[int, int] = {}
    nodes: list[Node] = []
    for call in calls(model):
        for tensor in call.outputs:
            numbers[id(tensor)] = len(nodes)
        nodes.append(
            Node(
                call.operation.name,
                tuple(numbers[id(tensor)] for tensor in call.input_tensors),
                tuple(call.outputs[0].shape[1:]),
                bool(getattr(call.operation, "weights", ())),  # an operation that is no layer has none
            )
        )
    return nodes


def find_frontier(nodes: Sequence[Node], trained: Collection[str]) -> Frontier:
    """Cut a network as late as possible: everything that no trainable layer feeds is below.

    Operations without weights move above the cut where that leaves less to cache, as with a pooling that shares its
    input with convolutions.

    Args:
        nodes: Its calls, inputs first; the last one returns the output.
        trained: Names of its trainable layers.
    """
    last = len(nodes) - 1
    changing: set[int] = set()
    crossing: set[int] = set()
    for number, node in enumerate(nodes):
        if node.name in trained or not changing.isdisjoint(node.inputs):
            changing.add(number)
            crossing.update(node.inputs)
    crossing -= changing
    if last not in changing:
        crossing.add(last)
    _pull_back(crossing, nodes)
    if not any(nodes[number].has_weights for number in _below(crossing, nodes)):
        crossing = {number for number, node in enumerate(nodes) if not node.inputs}
    ordered = sorted(crossing)
    return Frontier(
        tuple(nodes[number].name for number in ordered),
        4 * sum(nodes[number].size for number in ordered),
        is_input=all(not nodes[number].inputs for number in ordered),
        is_output=ordered == [last],
    )


def _pull_back(crossing: set[int], nodes: Sequence[Node]) -> None:
    """Replace tensors by what they are computed from, where that is smaller."""
    waiting = sorted(crossing)
    while waiting:
        number = waiting.pop()
        node = nodes[number]
        if number not in crossing or node.has_weights or not node.inputs:
            continue
        new = set(node.inputs) - crossing
        if sum(nodes[each].size for each in new) < node.size:
            crossing.remove(number)
            crossing |= new
            waiting = sorted(crossing)


def _below(crossing: Collection[int], nodes: Sequence[Node]) -> Iterator[int]:
    """Yield the calls that tensors are computed by."""
    wanted = set(crossing)
    for number in range(len(nodes) - 1, -1, -1):
        if number in wanted:
            wanted.update(nodes[number].inputs)
            yield number

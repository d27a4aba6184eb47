"""The frontier of a network: the cut tensors, which cross from frozen layers to trainable ones.

What lies below it outputs the same numbers for an image in every epoch, so it needs to run only once.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from tlkit.keras_private import calls


@dataclass(frozen=True)
class Frontier:
    """The tensors that cross from frozen layers to trainable ones.

    Attributes:
        tensors: Symbolic tensors of the network; the trainable part depends on the image through them alone.
        names: Names of the layers (or operations) that output them.
        shapes: Shape of each, for one image.
        is_input: No layer with weights lies below: the tensor is the input of the network.
    """

    tensors: tuple[Any, ...]
    names: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    is_input: bool

    @property
    def bytes(self) -> int:
        """Size of the tensors of one image as float32, in bytes."""
        return 4 * sum(math.prod(shape) for shape in self.shapes)


def find_frontier(network: Any, trained: Collection[Any]) -> Frontier:
    """Cut a network as late as possible: everything that no trainable layer feeds is below.

    Operations without weights move above the cut where that leaves less to cache, as with a pooling that shares its
    input with convolutions.

    Args:
        network: A functional ``keras.Model`` of one input.
        trained: Its trainable layers.
    """
    trains = {id(layer) for layer in trained}
    nodes = list(calls(network))
    changing: set[int] = set()
    producer: dict[int, Any] = {}
    for node in nodes:
        for tensor in node.outputs:
            producer[id(tensor)] = node
        if id(node.operation) in trains or any(id(tensor) in changing for tensor in node.input_tensors):
            changing.update(id(tensor) for tensor in node.outputs)
    crossing: dict[int, Any] = {}
    for node in nodes:
        if id(node.outputs[0]) in changing:
            crossing.update((id(tensor), tensor) for tensor in node.input_tensors if id(tensor) not in changing)
    crossing.update((id(tensor), tensor) for tensor in network.outputs if id(tensor) not in changing)
    _pull_back(crossing, producer)
    if not any(_weights(node.operation) for node in _below(crossing.values(), producer)):
        crossing = {id(tensor): tensor for tensor in network.inputs}
    tensors = tuple(tensor for node in nodes for tensor in node.outputs if id(tensor) in crossing)
    return Frontier(
        tensors,
        tuple(producer[id(tensor)].operation.name for tensor in tensors),
        tuple(tuple(tensor.shape[1:]) for tensor in tensors),
        is_input=[id(tensor) for tensor in tensors] == [id(tensor) for tensor in network.inputs],
    )


def _weights(operation: Any) -> Any:
    return getattr(operation, "weights", ())  # an operation that is no layer has none


def _size(tensor: Any) -> int:
    return math.prod(tensor.shape[1:])


def _pull_back(crossing: dict[int, Any], producer: dict[int, Any]) -> None:
    """Replace tensors by what they are computed from, where that is smaller."""
    waiting = list(crossing)
    while waiting:
        key = waiting.pop()
        node = producer[key]
        if key not in crossing or _weights(node.operation) or not node.input_tensors or len(node.outputs) > 1:
            continue
        new = {id(tensor): tensor for tensor in node.input_tensors if id(tensor) not in crossing}
        if sum(map(_size, new.values())) < _size(crossing[key]):
            del crossing[key]
            crossing.update(new)
            waiting = list(crossing)


def _below(tensors: Collection[Any], producer: dict[int, Any]) -> Iterator[Any]:
    """Yield the calls that tensors are computed by."""
    seen: set[int] = set()
    waiting = list(tensors)
    while waiting:
        node = producer[id(waiting.pop())]
        if id(node) not in seen:
            seen.add(id(node))
            yield node
            waiting += node.input_tensors

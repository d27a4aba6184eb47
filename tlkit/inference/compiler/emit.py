"""Emit a network: every call that its outputs need, by the tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tlkit.inference.compiler.graph import Call, Graph, Ref, Unsupported
from tlkit.inference.compiler.layers import LAYERS
from tlkit.inference.compiler.operations import OPERATIONS
from tlkit.inference.compiler.row import Layer
from tlkit.inference.compiler.settings import Settings
from tlkit.inference.compiler.tensors import Tensor
from tlkit.inference.compiler.writer import Writer

Arrays = Mapping[tuple[str, ...], Mapping[str, np.ndarray]]
"""The arrays of a network: by the layer's path and name, by weight."""


def emit(graph: Graph, arrays: Arrays, outputs: Sequence[Ref], source: Tensor, writer: Writer) -> list[Tensor]:
    """Emit what outputs need.

    Args:
        graph: The network.
        arrays: Its weights.
        outputs: Which of its tensors to return.
        source: Its input.
        writer: Emits operations.

    Raises:
        Unsupported: A kind of layer, or a setting, is not in the tables.
    """
    tensors: dict[int, Tensor] = {}
    for number in graph.needed(outputs):
        call = graph.calls[number]
        weights = arrays.get(call.layer, {})
        writer.begin_layer("/".join(call.layer))
        tensors[number] = source if call.kind == "InputLayer" else emit_call(call, weights, tensors, writer)
    return [tensors[ref.call] for ref in outputs]


def emit_call(call: Call, weights: Mapping[str, np.ndarray], tensors: Mapping[int, Tensor], writer: Writer) -> Tensor:
    """Emit one call.

    Args:
        call: The call.
        weights: The arrays of its layer by role.
        tensors: What has been emitted, by number of the call.
        writer: Emits operations.

    Raises:
        Unsupported: Its kind, or a setting, is not in the tables.
    """
    try:
        return _emit_call(call, weights, tensors, writer)
    except Unsupported as reason:
        reason.kind = call.kind
        raise


def _emit_call(call: Call, weights: Mapping[str, np.ndarray], tensors: Mapping[int, Tensor], writer: Writer) -> Tensor:
    layer = Layer(
        writer,
        Settings(call.name, call.settings),
        weights,
        [tensors[ref.call] for ref in call.refs()],
        [_resolved(argument, tensors) for argument in call.arguments],
        {key: _resolved(value, tensors) for key, value in call.keywords.items()},
        LAYERS,
    )
    if not call.is_operation:
        return LAYERS.run(call.kind, layer)
    if call.kind not in OPERATIONS:
        raise Unsupported(call.name, f"is a {call.kind}")
    return OPERATIONS[call.kind](layer)


def _resolved(value: Any, tensors: Mapping[int, Tensor]) -> Any:
    if isinstance(value, Ref):
        return tensors[value.call]
    if isinstance(value, list | tuple):
        return [_resolved(item, tensors) for item in value]
    return value

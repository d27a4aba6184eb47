"""What the layers of sequences compute, and those that call a layer of their own.

Sources: ``keras/src/layers/rnn``. The steps are written out one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tlkit.inference.compiler.layers.merging import concatenated, merged
from tlkit.inference.compiler.layers.table import LAYERS, MOST_STEPS
from tlkit.inference.compiler.row import Layer
from tlkit.inference.compiler.tensors import Tensor, in_keras_order
from tlkit.inference.compiler.writer import Handle

States = Sequence[Handle] | None
"""What a cell keeps, its output first; None before the first step, where all is zero."""


def _run(layer: Layer, cell: Callable[[Handle, States], list[Handle]], bias: np.ndarray | None) -> Tensor:
    """Emit the steps of a cell, each on one row of what the inputs give to its gates."""
    settings, writer, tensor = layer.settings, layer.writer, layer.plain()
    for key in ("return_state", "stateful", "time_major"):
        settings.only(key, False)
    settings.skip("units", "use_bias", "dropout", "recurrent_dropout", "zero_output_for_mask")
    kernel = layer.weight("kernel")
    if len(tensor.shape) != 2:
        raise settings.unsupported(f"is called on {len(tensor.shape)} axes")
    steps, width = tensor.shape[0], kernel.shape[1]
    if steps > MOST_STEPS:
        raise settings.unsupported(f"takes {steps} steps")
    gates = Tensor(writer.matmul(tensor.handle, writer.constant(kernel)), (steps, width))
    gates = layer.scaled(gates, -1, scale=None, offset=bias)
    units = layer.weight("recurrent_kernel").shape[0]
    states: States = None
    outputs = []
    for step in reversed(range(steps)) if settings.get("go_backwards", False) else range(steps):
        row = writer.reshape(writer.slice(gates.handle, 1, step, step + 1), (-1, width))
        states = cell(row, states)
        outputs.append(writer.reshape(states[0], (-1, 1, units)))
    if settings.get("return_sequences", False):
        return Tensor(writer.concatenate(outputs, 1), (steps, units))
    return Tensor(writer.reshape(outputs[-1], (-1, units)), (units,))


def _constant(layer: Layer, role: str) -> Handle:
    """Emit an array of a layer."""
    return layer.writer.constant(layer.weight(role))


def _gates(layer: Layer, row: Handle, count: int) -> list[Handle]:
    """Emit the parts of a row, one for each gate."""
    units = layer.weight("recurrent_kernel").shape[0]
    return [layer.writer.slice(row, 1, part * units, (part + 1) * units) for part in range(count)]


def _activated(layer: Layer, x: Handle, key: str, default: str) -> Handle:
    return layer.activated(Tensor(x, (layer.weight("recurrent_kernel").shape[0],)), key, default).handle


def _gate(layer: Layer, x: Handle) -> Handle:
    return _activated(layer, x, "recurrent_activation", "sigmoid")


def _candidate(layer: Layer, x: Handle) -> Handle:
    return _activated(layer, x, "activation", "tanh")


def _mixed(layer: Layer, update: Handle, candidate: Handle, states: States) -> list[Handle]:
    """Emit the next state of a GRU."""
    writer = layer.writer
    new = writer.binary("multiply", writer.binary("subtract", layer.number(1), update), candidate)
    return [new if states is None else writer.binary("add", writer.binary("multiply", update, states[0]), new)]


@LAYERS.row("GRU")
def _gru(layer: Layer) -> Tensor:
    if layer.settings.get("reset_after", True):
        return _gru_reset_after(layer)
    writer, recurrent = layer.writer, layer.weight("recurrent_kernel")
    inner, outer = (writer.constant(part) for part in np.split(recurrent, [2 * recurrent.shape[0]], axis=1))

    def cell(row: Handle, states: States) -> list[Handle]:
        update, reset, candidate = _gates(layer, row, 3)
        if states is not None:
            both = _gates(layer, writer.matmul(states[0], inner), 2)
            update, reset = (writer.binary("add", *pair) for pair in zip((update, reset), both, strict=True))
            kept = writer.binary("multiply", _gate(layer, reset), states[0])
            candidate = writer.binary("add", candidate, writer.matmul(kept, outer))
        return _mixed(layer, _gate(layer, update), _candidate(layer, candidate), states)

    return _run(layer, cell, layer.weights.get("bias"))


def _gru_reset_after(layer: Layer) -> Tensor:
    writer, recurrent = layer.writer, _constant(layer, "recurrent_kernel")
    bias = layer.weights.get("bias")
    first, second = (None, None) if bias is None else bias

    def cell(row: Handle, states: States) -> list[Handle]:
        gates = _gates(layer, row, 3)
        inner = None if states is None else writer.matmul(states[0], recurrent)
        if second is not None:
            offset = writer.constant(second.reshape(1, -1))
            inner = offset if inner is None else writer.binary("add", inner, offset)
        if inner is not None:
            update, reset, candidate = _gates(layer, inner, 3)
            gates[:2] = (writer.binary("add", *pair) for pair in zip(gates, (update, reset), strict=False))
            gates[2] = writer.binary("add", gates[2], writer.binary("multiply", _gate(layer, gates[1]), candidate))
        return _mixed(layer, _gate(layer, gates[0]), _candidate(layer, gates[2]), states)

    return _run(layer, cell, first)


@LAYERS.row("LSTM")
def _lstm(layer: Layer) -> Tensor:
    writer, recurrent = layer.writer, _constant(layer, "recurrent_kernel")
    layer.settings.skip("unit_forget_bias")

    def cell(row: Handle, states: States) -> list[Handle]:
        if states is not None:
            row = writer.binary("add", row, writer.matmul(states[0], recurrent))
        enter, forget, candidate, leave = _gates(layer, row, 4)
        carry = writer.binary("multiply", _gate(layer, enter), _candidate(layer, candidate))
        if states is not None:
            carry = writer.binary("add", writer.binary("multiply", _gate(layer, forget), states[1]), carry)
        return [writer.binary("multiply", _gate(layer, leave), _candidate(layer, carry)), carry]

    return _run(layer, cell, layer.weights.get("bias"))


@LAYERS.row("SimpleRNN")
def _simple_rnn(layer: Layer) -> Tensor:
    writer, recurrent = layer.writer, _constant(layer, "recurrent_kernel")

    def cell(row: Handle, states: States) -> list[Handle]:
        if states is not None:
            row = writer.binary("add", row, writer.matmul(states[0], recurrent))
        return [_candidate(layer, row)]

    return _run(layer, cell, layer.weights.get("bias"))


def backward_entry(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the backward layer of a Bidirectional: its own, or the forward one the other way round."""
    entry: Mapping[str, Any] = config.get("backward_layer") or {}
    if entry:
        return entry
    forward = config["layer"]
    settings = {**forward["config"], "go_backwards": not forward["config"].get("go_backwards", False)}
    return {**forward, "config": settings}


@LAYERS.row("Bidirectional")
def _bidirectional(layer: Layer) -> Tensor:
    settings, writer, tensor = layer.settings, layer.writer, layer.plain()
    forward = settings.get("layer")
    backward = backward_entry({"layer": forward, "backward_layer": settings.get("backward_layer")})
    # null is a mode of its own, two outputs, and not the default
    mode = settings.choice("merge_mode", "concat" if not settings.has("merge_mode") else "null",
                           "concat", "sum", "mul", "ave")  # fmt: skip
    there = layer.inner(forward, layer.part("forward_layer", "cell"), tensor)
    back = layer.inner(backward, layer.part("backward_layer", "cell"), tensor)
    if len(back.shape) == 2:
        steps = back.shape[0]
        back = Tensor(writer.gather(back.handle, range(steps)[::-1], 1), back.shape)
    if mode == "concat":
        return concatenated(layer, [there, back], -1)
    both = merged(layer, [there, back], "multiply" if mode == "mul" else "add")
    if mode != "ave":
        return both
    return Tensor(writer.binary("divide", both.handle, layer.number(2)), both.shape)


@LAYERS.row("TimeDistributed")
def _time_distributed(layer: Layer) -> Tensor:
    tensor, writer = layer.plain(), layer.writer
    steps, *shape = tensor.shape
    step = Tensor(writer.reshape(tensor.handle, (-1, *shape)), tuple(shape))
    weights = layer.part("layer") or layer.weights
    output = in_keras_order(writer, layer.inner(layer.settings.get("layer"), weights, step))
    return Tensor(writer.reshape(output.handle, (-1, steps, *output.shape)), (steps, *output.shape))


@LAYERS.row("SpectralNormalization")
def _spectral_normalization(layer: Layer) -> Tensor:
    layer.settings.skip("power_iterations")  # the kernel of a file is normalized
    return layer.inner(layer.settings.get("layer"), layer.weights, layer.input)

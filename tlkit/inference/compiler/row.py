"""The tables of what each kind of layer and operation computes: one function a kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tlkit.inference.compiler.activations import activate, activation_name
from tlkit.inference.compiler.settings import Settings
from tlkit.inference.compiler.tensors import Tensor, along, as_map, in_keras_order, with_handle
from tlkit.inference.compiler.writer import Handle, Writer


@dataclass(frozen=True)
class Layer:
    """One call of a layer or operation, for the function of its kind.

    Attributes:
        writer: Emits what it computes.
        settings: Its settings.
        weights: Its arrays by name.
        inputs: The tensors it is called on, in order.
        arguments: Of an operation: all positional arguments, with the tensors among them.
        keywords: Of an operation: its keyword arguments.
        table: What the layers compute that it may hold.
    """

    writer: Writer
    settings: Settings
    weights: Mapping[str, np.ndarray] = field(default_factory=dict)
    inputs: Sequence[Tensor] = ()
    arguments: Sequence[Any] = ()
    keywords: Mapping[str, Any] = field(default_factory=dict)
    table: Table = field(default_factory=lambda: Table())

    @property
    def input(self) -> Tensor:
        """The tensor of a layer that takes one."""
        if len(self.inputs) != 1:
            raise self.settings.unsupported(f"is called on {len(self.inputs)} tensors")
        return self.inputs[0]

    def weight(self, name: str) -> np.ndarray:
        """Return an array.

        Raises:
            Unsupported: There is none of this name.
        """
        if name not in self.weights:
            raise self.settings.unsupported(f"has no {name}")
        return self.weights[name]

    def data_format(self) -> str:
        """Return the layout of a layer of maps."""
        return self.settings.choice("data_format", "channels_last", "channels_last", "channels_first")

    def map(self, data_format: str, rank: int) -> Tensor:
        """Return the input as a map of so many sides, channels first for the runtime."""
        if len(self.input.shape) != rank + 1:
            raise self.settings.unsupported(f"is called on {len(self.input.shape)} axes")
        return as_map(self.writer, self.input, data_format)

    def plain(self) -> Tensor:
        """Return the input in Keras's order of axes."""
        return in_keras_order(self.writer, self.input)

    def scaled(self, tensor: Tensor, axis: int, *, scale: np.ndarray | None, offset: np.ndarray | None) -> Tensor:
        """Emit a scale and an offset along an axis, where there are any."""
        handle = tensor.handle
        if scale is not None:
            handle = self.writer.binary("multiply", handle, along(self.writer, tensor, axis, scale))
        if offset is not None:
            handle = self.writer.binary("add", handle, along(self.writer, tensor, axis, offset))
        return with_handle(tensor, handle)

    def inner(self, entry: Mapping[str, Any], weights: Mapping[str, np.ndarray], tensor: Tensor) -> Tensor:
        """Emit a layer that this one holds, ``{"class_name": …, "config": …}``."""
        settings = Settings(self.settings.layer, entry["config"])
        return self.table.run(entry["class_name"], Layer(self.writer, settings, weights, [tensor], table=self.table))

    def part(self, *path: str) -> Mapping[str, np.ndarray]:
        """Return the arrays of a part of this layer, by name."""
        start = "/".join(path) + "/"
        return {name.removeprefix(start): array for name, array in self.weights.items() if name.startswith(start)}

    def activated(self, tensor: Tensor, key: str = "activation", default: str = "linear") -> Tensor:
        """Emit the activation that a setting names."""
        value = self.settings.get(key, default)
        if isinstance(value, dict) and value.get("class_name") in self.table:  # a layer in place of a name
            return self.inner(value, {}, tensor)
        name = activation_name(value)
        result = None if name is None else activate(self.writer, tensor, name)
        if result is None:
            raise self.settings.unsupported(f"{key} is {value!r}")
        return result

    def number(self, value: float) -> Handle:
        """Emit one number."""
        return self.writer.constant(np.float32(value))


Row = Callable[[Layer], Tensor]


class Table(dict[str, Row]):
    """Functions by the class of Keras that they are for."""

    def row(self, *kinds: str) -> Callable[[Row], Row]:
        """Add a function for one or more kinds."""

        def add(function: Row) -> Row:
            self.update(dict.fromkeys(kinds, function))
            return function

        return add

    def run(self, kind: str, layer: Layer) -> Tensor:
        """Emit a layer; all of its settings have to be read.

        Raises:
            Unsupported: Its kind, or a setting, is not in the table.
        """
        if kind not in self:
            raise layer.settings.unsupported(f"is a {kind}")
        result = self[kind](layer)
        layer.settings.finish()
        return result

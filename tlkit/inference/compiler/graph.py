"""A network as data: the calls of its layers in order, with their settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Shape = tuple[int, ...]


class Unsupported(Exception):
    """A kind of layer, or a setting of one, that the tables do not have.

    Args:
        name: The name of the layer.
        reason: What is not known about it.
        what: ``model`` or ``file`` where the name is not of a layer.

    Attributes:
        kind: The class of the layer, where it is known.
    """

    def __init__(self, name: str, reason: str, *, what: str = "layer") -> None:
        super().__init__(name, reason)
        self.name, self.reason, self.what = name, reason, what
        self.kind: str | None = None

    def __str__(self) -> str:
        """Return ``layer NAME (CLASS): REASON``; without the class where the reason has it."""
        kind = f" ({self.kind})" if self.kind and self.reason != f"is a {self.kind}" else ""
        return f"{self.what} {self.name}{kind}: {self.reason}"


@dataclass(frozen=True)
class Ref:
    """The output of a call, as an argument of another.

    Attributes:
        call: Index of the call in :attr:`Graph.calls`.
        output: Which of its outputs.
    """

    call: int
    output: int = 0


@dataclass(frozen=True)
class Call:
    """One call of a layer or an operation.

    Attributes:
        kind: The Keras class.
        name: Of the layer.
        path: The names of the models that it is inside of, outermost first.
        settings: Its config.
        arguments: Positional arguments; tensors are :class:`Ref`, also inside lists.
        keywords: Keyword arguments.
        is_operation: True for an operation of ``keras.ops``, whose class may be named as a layer's.
        shape: Of an input, without the batch.
    """

    kind: str
    name: str
    path: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    arguments: tuple[Any, ...] = ()
    keywords: Mapping[str, Any] = field(default_factory=dict)
    is_operation: bool = False
    shape: Shape | None = None

    @property
    def layer(self) -> tuple[str, ...]:
        """Path and name: the calls of a shared layer have the same."""
        return (*self.path, self.name)

    def refs(self) -> Iterator[Ref]:
        """Iterate over the tensors among the arguments."""
        yield from _refs(self.arguments)
        yield from _refs(tuple(self.keywords.values()))


def _refs(values: Sequence[Any]) -> Iterator[Ref]:
    for value in values:
        if isinstance(value, Ref):
            yield value
        elif isinstance(value, list | tuple):
            yield from _refs(value)


@dataclass(frozen=True)
class Graph:
    """A network of one input.

    Attributes:
        calls: In an order in which they can be computed.
        outputs: What it returns.
        models: The output of each model inside it, by its name, where it is called once and has one.
    """

    calls: tuple[Call, ...]
    outputs: tuple[Ref, ...]
    models: Mapping[str, Ref] = field(default_factory=dict)

    def output_of(self, name: str) -> Ref:
        """Return the output of the layer, operation or inner model of that name.

        Raises:
            Unsupported: There is none, or it is called more than once.
        """
        found = [number for number, call in enumerate(self.calls) if call.name == name]
        if not found and name in self.models:
            return self.models[name]
        if len(found) != 1:
            raise Unsupported(name, f"is called {len(found)} times")
        return Ref(found[0])

    def needed(self, outputs: Sequence[Ref]) -> list[int]:
        """Return the calls that outputs need, in order."""
        wanted = {ref.call for ref in outputs}
        for number in range(len(self.calls) - 1, -1, -1):
            if number in wanted:
                wanted.update(ref.call for ref in self.calls[number].refs())
        return sorted(wanted)


def constant_value(value: Any) -> np.ndarray | None:
    """Return a constant argument of an operation as float32; None if it is not one."""
    if isinstance(value, dict) and value.get("class_name") in ("__numpy__", "__tensor__"):
        value = value["config"]["value"]
    try:
        return np.asarray(value, np.float32)
    except (TypeError, ValueError):
        return None

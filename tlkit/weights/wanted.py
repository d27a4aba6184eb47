"""What a network wants of a weights file: its layers and the shapes of their tensors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Shape = tuple[int, ...]


@dataclass(frozen=True)
class WantedLayer:
    """One layer with weights.

    Attributes:
        name: Its name.
        kind: Its Keras class.
        tensors: ``(role, shape)`` of each weight, those that train first, as files keep them.
        path: The names of the models it is inside of, outermost first.
        flattened: ``(height, width, channels)`` of the map that was flattened into its input, for a Dense.
        places: For a layer made of parts, where Keras 3 keeps each tensor inside its folder:
            ``query_dense/vars/0``.
    """

    name: str
    kind: str
    tensors: tuple[tuple[str, Shape], ...]
    path: tuple[str, ...] = ()
    flattened: Shape | None = None
    places: tuple[str, ...] = ()


@dataclass(frozen=True)
class Target:
    """A layer of a Keras model and what it wants."""

    wanted: WantedLayer
    layer: Any
    variables: tuple[Any, ...]


def targets(model: Any) -> list[Target]:
    """The layers of a Keras model that hold weights, those of models inside it included, in order."""
    return list(_targets(model, ()))


def _targets(model: Any, path: tuple[str, ...]) -> Iterator[Target]:
    flattened: dict[int, Shape] = {}
    for layer in model.layers:
        if getattr(layer, "layers", None) is not None and hasattr(layer, "get_layer"):
            yield from _targets(layer, (*path, layer.name))
            continue
        if type(layer).__name__ == "Flatten" and getattr(layer, "data_format", None) != "channels_first":
            _note_flattened(layer, flattened)
        elif type(layer).__name__ in ("Dropout", "Activation", "ReLU") and flattened:
            _pass_on(layer, flattened)
        if not layer.weights:
            continue
        variables = (*layer.trainable_weights, *layer.non_trainable_weights)
        tensors = tuple((variable.name, tuple(variable.shape)) for variable in variables)
        map_shape = flattened.get(_source(layer)) if type(layer).__name__ == "Dense" else None
        kind = type(layer).__name__
        yield Target(
            WantedLayer(layer.name, kind, tensors, path, map_shape, _places(layer, variables)), layer, variables
        )


def _places(layer: Any, variables: tuple[Any, ...]) -> tuple[str, ...]:
    """Folders of the variables inside the layer's own; empty unless every one of them is in a part of the layer."""
    found: dict[int, str] = {}
    waiting = [("", layer)]
    seen = {id(layer)}
    while waiting:
        prefix, part = waiting.pop(0)
        own = [*part._trainable_variables, *part._non_trainable_variables]
        found.update((id(variable), f"{prefix}vars/{number}") for number, variable in enumerate(own))
        for name, value in sorted(vars(part).items()):
            if hasattr(value, "_trainable_variables") and hasattr(value, "get_config") and id(value) not in seen:
                seen.add(id(value))
                waiting.append((f"{prefix}{name.lstrip('_')}/", value))
    places = tuple(found.get(id(variable), "") for variable in variables)
    return places if all("/vars/" in place for place in places) else ()


def _source(layer: Any) -> int:
    try:
        return id(layer.input)
    except (AttributeError, ValueError):  # never called, or called more than once
        return 0


def _note_flattened(layer: Any, flattened: dict[int, Shape]) -> None:
    try:
        shape = tuple(layer.input.shape[1:])
    except (AttributeError, ValueError):
        return
    if len(shape) == 3 and None not in shape:
        flattened[id(layer.output)] = shape


def _pass_on(layer: Any, flattened: dict[int, Shape]) -> None:
    shape = flattened.get(_source(layer))
    if shape:
        flattened[id(layer.output)] = shape

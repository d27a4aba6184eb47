"""What a network expects of a weights file: its layers and the shapes of their tensors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from tlkit.keras_files.legacy_names import LORA
from tlkit.keras_private import direct_variables, is_layer, producer

Shape = tuple[int, ...]


@dataclass(frozen=True)
class LayerSpec:
    """One layer with weights.

    Attributes:
        name: Its name.
        kind: Its Keras class.
        tensors: ``(role, shape)`` of each weight, trainable ones first, as in files.
        path: The names of the models it is inside of, outermost first.
        flattened: Of a Dense after a Flatten: ``(height, width, channels)`` of the feature map that was flattened.
        variable_paths: Of a layer made of parts: where Keras 3 stores each tensor inside the folder of the layer,
            ``query_dense/vars/0``.
        recurrent_activation: Of a GRU or LSTM: ``sigmoid``, ``hard_sigmoid``; empty for all others.
        groups: Of a convolution.
        in_classifier: True behind the last feature map, in a network that ends in classes.
    """

    name: str
    kind: str
    tensors: tuple[tuple[str, Shape], ...]
    path: tuple[str, ...] = ()
    flattened: Shape | None = None
    variable_paths: tuple[str, ...] = ()
    recurrent_activation: str = ""
    groups: int = 1
    in_classifier: bool = False

    @property
    def keys(self) -> tuple[str, ...]:
        """What tells its tensors apart: their roles; with the part of the layer where parts have the same roles."""
        roles = tuple(role for role, _ in self.tensors)
        if len(set(roles)) == len(roles) or len(self.variable_paths) != len(roles):
            return roles
        parts = (path.partition("vars/")[0] for path in self.variable_paths)
        return tuple(part + role for part, role in zip(parts, roles, strict=True))


@dataclass(frozen=True)
class TargetLayer:
    """A layer of a Keras model, what it expects of a file and its variables in the order of files."""

    spec: LayerSpec
    layer: Any
    variables: tuple[Any, ...]


def target_layers(model: Any) -> list[TargetLayer]:
    """Return the layers of a Keras model that have weights, those of models inside it included, in order."""
    targets = list(_targets(model, ()))
    head = _classifier(model)
    return [
        replace(target, spec=replace(target.spec, in_classifier=True)) if id(target.layer) in head else target
        for target in targets
    ]


def layer_arrays(model: Any) -> dict[tuple[str, ...], dict[str, Any]]:
    """Return the weights of a Keras model: ``{path and name of a layer: {key of :attr:`LayerSpec.keys`: array}}``."""
    return {
        (*target.spec.path, target.spec.name): {
            key: variable.numpy() for key, variable in zip(target.spec.keys, target.variables, strict=True)
        }
        for target in target_layers(model)
    }


def _classifier(model: Any) -> set[int]:
    """Return the layers behind the last global pooling or Flatten; none in a network that ends in a feature map."""
    if len(model.outputs) != 1 or len(model.outputs[0].shape) != 2:
        return set()
    ends = [n for n, layer in enumerate(model.layers) if type(layer).__name__.startswith(("Global", "Flatten"))]
    return {id(layer) for layer in model.layers[ends[-1] :]} if ends else set()


def _targets(model: Any, path: tuple[str, ...]) -> Iterator[TargetLayer]:
    for layer in model.layers:
        if _is_model(layer):
            yield from _targets(layer, (*path, layer.name))
        elif layer.weights:
            variables = _variables(layer)
            tensors = tuple((variable.name, tuple(variable.shape)) for variable in variables)
            kind = type(layer).__name__
            spec = LayerSpec(
                layer.name,
                kind,
                tensors,
                path,
                _flattened(layer),
                _variable_paths(layer, variables),
                recurrent_activation_of(layer),
                groups_of(layer),
            )
            yield TargetLayer(spec, layer, variables)


def _variables(layer: Any) -> tuple[Any, ...]:
    """Return the variables of a layer in the order of files; an adapter (LoRA) is part of its kernel."""
    if not getattr(layer, "lora_enabled", False):
        return (*layer.trainable_weights, *layer.non_trainable_weights)
    return tuple(variable for variable in layer.weights if not variable.name.startswith(LORA))


def recurrent_activation_of(layer: Any) -> str:
    """Return the name of the recurrent activation of a GRU or LSTM; an empty string for all other layers."""
    return getattr(getattr(layer, "recurrent_activation", None), "__name__", "")


def groups_of(layer: Any) -> int:
    """Return the groups of a convolution; 1 for all other layers."""
    return getattr(layer, "groups", 1) if hasattr(layer, "kernel_size") else 1


def _is_model(layer: Any) -> bool:
    return getattr(layer, "layers", None) is not None and hasattr(layer, "get_layer")


def _variable_paths(layer: Any, variables: tuple[Any, ...]) -> tuple[str, ...]:
    """Return where each variable is stored inside the layer's folder; empty unless all are in parts of it."""
    found: dict[int, str] = {}
    waiting = [("", layer)]
    seen = {id(layer)}
    while waiting:
        prefix, part = waiting.pop(0)
        own = direct_variables(part)
        found.update((id(variable), f"{prefix}vars/{number}") for number, variable in enumerate(own))
        for name, value in sorted(vars(part).items()):
            if is_layer(value) and id(value) not in seen:
                seen.add(id(value))
                waiting.append((f"{prefix}{name.lstrip('_')}/", value))
    places = tuple(found.get(id(variable), "") for variable in variables)
    return places if all("/vars/" in place for place in places) else ()


def _flattened(layer: Any) -> Shape | None:
    """Return the shape of the feature map whose Flatten feeds a layer, through layers that preserve order, or None."""
    tensor = _input(layer)
    while tensor is not None and len(tensor.shape) == 2:
        source = producer(tensor)
        if _is_model(source):
            tensor = source.outputs[0]
        elif type(source).__name__ == "Flatten":
            before = _input(source)
            shape = () if before is None else tuple(before.shape[1:])
            if source.data_format == "channels_first":  # Flatten counts channels last all the same
                shape = (*shape[1:], *shape[:1])
            return shape if len(shape) == 3 and None not in shape else None
        else:
            before = _input(source)
            preserves = type(source).__name__ != "Dense" and before is not None and before.shape == tensor.shape
            tensor = before if preserves and before is not tensor else None
    return None


def _input(layer: Any) -> Any:
    """Return the tensor that a layer was called on; None if it was called never, more than once, or on several."""
    try:
        tensor = layer.input
    except (AttributeError, ValueError):
        return None
    return None if producer(tensor) is None else tensor

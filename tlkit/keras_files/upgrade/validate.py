"""Find the reasons why a model config from a file must not be built, from the config alone: Keras is not imported.

A config names classes, and building it runs them. Only names from :mod:`tlkit.keras_files.upgrade.allowlist` pass.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tlkit.keras_files.upgrade import allowlist
from tlkit.keras_files.upgrade.first_versions import custom_before
from tlkit.utils.text import pluralize

# Above any real model (4 levels for a model in a model, about 1,000 layers in NASNet), far below what hurts. Keras
# rebuilds a Sequential for each layer it adds, so long ones take the square of the time.
MOST_LEVELS = 150
MOST_LAYERS = 5_000
MOST_IN_SEQUENTIAL = 500
_MOST_PROBLEMS = 100
_LONGEST_NAME = 80

_LAYERS = frozenset().union(allowlist.LAYERS, allowlist.OLD_LAYERS, allowlist.MODELS, *allowlist.OPERATIONS.values())
_OBJECTS = _LAYERS.union(
    allowlist.REGULARIZERS, allowlist.CONSTRAINTS,
    allowlist.POLICIES, allowlist.OLD_POLICIES, allowlist.MARKERS, allowlist.ACTIVATIONS,
    allowlist.REGULARIZER_NAMES, allowlist.CONSTRAINT_NAMES, allowlist.OLD_REGULARIZERS, allowlist.OLD_CONSTRAINTS,
)  # fmt: skip

# The last word of a key determines what kind of name is under it.
_NAMES = {
    "activation": ("activation", allowlist.ACTIVATIONS | {*allowlist.ACTIVATION_ALIASES}),
    "regularizer": ("regularizer", allowlist.REGULARIZER_NAMES | allowlist.OLD_REGULARIZERS),
    "constraint": ("constraint", allowlist.CONSTRAINT_NAMES | allowlist.OLD_CONSTRAINTS),
}
_PACKAGES = frozenset({"keras", "tensorflow", "tf_keras", "builtins"})
_LAYER_KEYS = frozenset({"layers", "layer", "forward_layer", "backward_layer", "cell", "cells"})


@dataclass(frozen=True)
class _Place:
    """A value of the config, the key it is under, the layer it is in and the Keras that wrote it."""

    value: Any
    key: str = ""
    layer: str = "the model"
    level: int = 0
    version: str | None = None

    def inside(self, value: Any, key: str | None = None) -> _Place:
        return _Place(value, self.key if key is None else key, self.layer, self.level + 1, self.version)


def config_problems(config: Any, keras_version: str | None = None) -> list[str]:
    """Return why a model config must not be built, one sentence per reason; nothing if it may be.

    Args:
        config: A parsed ``model_config`` of a Keras 1, 2 or 3 file, or ``config.json`` of a ``.keras`` file. May be
            anything: what is not a model config is a reason too. Compile settings are not checked (they are
            never built), nor are initializers (the same).
        keras_version: As recorded in the file; None if it is not.

    Returns:
        Reasons in the order of the file, without repeats, at most a hundred. Names in them are shortened.
    """
    if not isinstance(config, dict):
        return [f"The model config is {_kind(config)}, not a dictionary."]
    name = config.get("class_name")
    if not isinstance(name, str):
        return ["The model config names no class."]
    if name not in allowlist.MODELS:
        return [f"The model is a {_short(name)}, not one of {', '.join(sorted(allowlist.MODELS))}."]
    problems: dict[str, None] = {}
    for problem in _walk(config, keras_version):
        problems.setdefault(problem)
        if len(problems) == _MOST_PROBLEMS:
            break
    return list(problems)


def _walk(config: dict[str, Any], keras_version: str | None) -> Iterator[str]:
    # A stack of our own: a config nested 100,000 deep must not end in a RecursionError.
    stack = [_Place(config, key="layers", version=keras_version)]
    layers = 0
    while stack:
        place = stack.pop()
        value = place.value
        if place.level > MOST_LEVELS:
            yield f"{_start(place)} is nested more than {MOST_LEVELS} levels deep."
            return
        if isinstance(value, list | tuple):
            stack += [place.inside(item) for item in reversed(value)]
        elif isinstance(value, dict):
            if place.key in _LAYER_KEYS or "class_name" in value:
                place = _entered(place)
                layers += place.key in _LAYER_KEYS
                if layers > MOST_LAYERS:
                    yield f"The model has more than {pluralize(MOST_LAYERS, 'layer')}."
                    return
                yield from _object_problems(place)
            elif place.key in ("module", "registered_name"):
                yield f"{_start(place)} has a {place.key} that is not a name."
            elif "name" in value and _names_for(place.key):
                yield from _name_problems(place, value["name"])  # Keras 1: {"name": "L1L2Regularizer", "l1": …}
            if str(value.get("class_name")) in allowlist.UNSAFE:
                continue  # what is inside adds nothing
            stack += [
                place.inside(item, str(key))
                for key, item in reversed(value.items())
                # Keras would compile a nested model: upgrade drops this key wherever it is, and initializers.
                if key != "compile_config" and not allowlist.is_initializer(str(key))
            ]
        elif value is not None:
            yield from _name_problems(place, value)


def _entered(place: _Place) -> _Place:
    """Return the place with the name of the layer that starts there."""
    if place.key not in _LAYER_KEYS:
        return place
    config = place.value.get("config")
    inner = config.get("name") if isinstance(config, dict) else None
    name = inner if isinstance(inner, str) else place.value.get("name")
    if not isinstance(name, str):
        return place
    return _Place(place.value, place.key, f"layer {_short(name)!r}", place.level, place.version)


def _object_problems(place: _Place) -> Iterator[str]:
    value, is_layer = place.value, place.key in _LAYER_KEYS
    name = value.get("class_name")
    if not isinstance(name, str):
        yield f"{_start(place)} names no class."
        return
    if name in allowlist.UNSAFE:
        yield f"{_start(place)} is a {name}: {allowlist.UNSAFE[name]}."
        return
    if name in allowlist.QUANTIZED:
        yield (
            f"{_start(place)} is quantized by Keras, and tlkit computes with floating point: save the model before "
            "model.quantize, and `tlkit export --precision int8` makes a small file of it."
        )
        return
    if name in allowlist.TENSORFLOW_OPS:
        op = _op_of(value)
        if name not in allowlist.TRANSLATED_OP_LAYERS or op not in allowlist.TRANSLATED_OPS:
            called = f"tf.{_short(op)}" if op else "of no known name"
            yield f"{_start(place)} is a {name} ({called}): an operation of TensorFlow, which Keras 3 cannot rebuild."
        return
    if name not in (_LAYERS if is_layer else _OBJECTS):
        what = "a layer" if is_layer else "something"
        yield f"{_start(place)} {'is' if is_layer else 'uses'} a {_short(name)}, {what} tlkit does not know."
        return
    first = custom_before(name, place.version) if is_layer else None
    if first:
        yield (
            f"{_start(place)} is a {name}, which Keras has since {first}, and Keras {_short(place.version)} wrote the "
            "file: it is a custom class of the same name, whose code is not in the file."
        )
        return
    config = value.get("config")
    if is_layer and not isinstance(config, dict | list):
        yield f"{_start(place)} has no config."
    in_a_row = config.get("layers") if isinstance(config, dict) else config
    if name == "Sequential" and isinstance(in_a_row, list) and len(in_a_row) > MOST_IN_SEQUENTIAL:
        yield f"{_start(place)} is a Sequential of more than {pluralize(MOST_IN_SEQUENTIAL, 'layer')}."
    if name == "function":
        if str(value.get("config")) not in _NAMES["activation"][1]:
            yield f"{_start(place)} uses the function {_short(value.get('config'))}, which is no activation of Keras."
        registered = value.get("config")
    else:
        registered = name
    module = value.get("module")
    if module is not None and (not isinstance(module, str) or module.split(".")[0] not in _PACKAGES):
        yield f"{_start(place)} takes {_short(name)} from the module {_short(module)}, which is not Keras."
    if value.get("registered_name") not in (None, name, registered):
        yield f"{_start(place)} uses the custom object {_short(value['registered_name'])}."


def _name_problems(place: _Place, name: Any) -> Iterator[str]:
    kind = _names_for(place.key)
    if kind and (not isinstance(name, str) or name not in kind[1]):
        yield f"{_start(place)} uses the {kind[0]} {_short(name)}, which tlkit does not know."
    elif kind and kind[0] == "activation" and (first := custom_before(name, place.version, activation=True)):
        yield (
            f"{_start(place)} uses the activation {name}, which Keras has since {first}, and Keras "
            f"{_short(place.version)} wrote the file: it is a custom function of the same name."
        )


def _names_for(key: str) -> tuple[str, frozenset[str]] | None:
    return _NAMES.get(key.rsplit("_", 1)[-1])


def _op_of(entry: dict[str, Any]) -> str | None:
    config = entry.get("config")
    function = config.get("function") if isinstance(config, dict) else None
    return function if isinstance(function, str) else None


def _start(place: _Place) -> str:
    return place.layer[0].upper() + place.layer[1:]


def _short(name: Any) -> str:
    text = str(name) if isinstance(name, str) else _kind(name)
    return text if len(text) <= _LONGEST_NAME else f"{text[:_LONGEST_NAME]}…"


def _kind(value: Any) -> str:
    words = {dict: "a dictionary", list: "a list", str: "text", type(None): "null", bool: "true or false"}
    return words.get(type(value), "a number" if isinstance(value, int | float) else f"a {type(value).__name__}")

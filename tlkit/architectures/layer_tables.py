"""The layers of every architecture as data: listing them, and matching files to them, needs no TensorFlow.

``data/layers/NAME.tsv`` holds one layer per line: where it occurs (``both``, ``base`` only without the classifier,
``top`` only with it; ``operation`` for what is no layer, such as the sum of two tensors), name, kind, output shape at
the default size, its weights with their shapes in the layer's own order, and what else decides how files load:
``inputs=`` the layers it is called on, ``options=`` those that change what it computes or how it trains and are not
Keras's defaults,
``groups=32`` of a convolution, ``recurrent_activation=hard_sigmoid`` of a recurrent layer; and ``initializers=`` of
weights that start otherwise than others of their name. ``python -m tlkit.architectures.layer_tables [NAMES]`` writes
the files again from the installed Keras; tests compare them with what it builds.
"""

from __future__ import annotations

import dataclasses
import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tlkit.architectures.initializers import BY_ROLE, Initializer, initializer_of
from tlkit.config import BuildOptions
from tlkit.keras_files import LayerSpec, groups_of, layer_options, recurrent_activation_of
from tlkit.keras_private import calls, positional_arguments, producer, uninitialized

if TYPE_CHECKING:
    from tlkit.architectures.architecture import Architecture

Shape = tuple[int, ...]


@dataclass(frozen=True)
class LayerInfo:
    """One layer.

    Attributes:
        part: ``both``, ``base`` or ``top``; ``operation`` for what is no layer.
        name: The layer's name in a freshly built model.
        kind: The Keras class.
        shape: Output shape without the batch, at the architecture's default input size.
        weights: ``(name, shape)`` of each weight; in a layer that is a model itself, ``layer/name``.
        recurrent_activation: Of a GRU or LSTM; empty for all others.
        groups: Of a convolution.
        inputs: The names of the layers that it is called on.
        options: Those that change what it computes, without defaults; of a model, its ``layers``.
        initializers: ``{name of a weight: its initializer}`` where it is not that of
            :data:`tlkit.architectures.initializers.BY_ROLE`.
    """

    part: str
    name: str
    kind: str
    shape: Shape
    weights: tuple[tuple[str, Shape], ...]
    recurrent_activation: str = ""
    groups: int = 1
    inputs: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    initializers: Mapping[str, Initializer] = field(default_factory=dict)

    @property
    def parameters(self) -> int:
        """Number of parameters, including non-trainable ones."""
        return sum(math.prod(shape) for _, shape in self.weights)

    @property
    def multiplications(self) -> int:
        """Multiplications for one input of the default size: each kernel at each place of the output."""
        places = math.prod(self.shape[:-1]) if len(self.shape) > 1 else 1
        return places * sum(math.prod(shape) for _, shape in self.weights if len(shape) > 1)

    @property
    def is_trainable(self) -> bool:
        """True where training changes it; BatchNormalization without scale and offset still updates its statistics."""
        return bool(self.weights) and self.kind != "Normalization"

    def line(self) -> str:
        """Return the line of a table."""
        weights = " ".join(f"{name}:{_cross(shape)}" for name, shape in self.weights)
        extra = [f"groups={self.groups}"] if self.groups > 1 else []
        extra += [f"recurrent_activation={self.recurrent_activation}"] if self.recurrent_activation else []
        extra += [f"inputs={','.join(self.inputs)}"] if self.inputs else []
        extra += [
            f"{key}={json.dumps(values, separators=(',', ':'))}"
            for key, values in (("options", self.options), ("initializers", self.initializers)) if values
        ]  # fmt: skip
        return "\t".join((self.part, self.name, self.kind, _cross(self.shape), weights, *extra))

    @classmethod
    def from_line(cls, line: str) -> LayerInfo:
        """Parse a line of a table."""
        part, name, kind, shape, weights, *extra = line.split("\t")
        pairs = (item.split(":") for item in weights.split(" ") if item)
        fields = dict(item.split("=", 1) for item in extra)
        return cls(
            part, name, kind, _uncross(shape), tuple((key, _uncross(value)) for key, value in pairs),
            fields.get("recurrent_activation", ""), int(fields.get("groups", 1)),
            tuple(filter(None, fields.get("inputs", "").split(","))), json.loads(fields.get("options", "{}")),
            {key: tuple(values) for key, values in json.loads(fields.get("initializers", "{}")).items()},
        )  # fmt: skip


def _cross(shape: Shape) -> str:
    return "x".join(map(str, shape)) or "-"


def _uncross(text: str) -> Shape:
    return () if text == "-" else tuple(map(int, text.split("x")))


@cache
def layers_of(architecture: Architecture, *, include_top: bool) -> tuple[LayerInfo, ...]:
    """Return the layers of an architecture in the order of ``model.layers``; the index is the position.

    Where no table is shipped (arguments that no weights were published for, a registered architecture), the network is
    built and described, which takes seconds the first time.
    """
    if include_top and architecture.options.classes:
        plain = dataclasses.replace(architecture, options=dataclasses.replace(architecture.options, classes=None))
        return _with_classes(layers_of(plain, include_top=True), architecture.options.classes)
    table = _table(architecture)
    if table is None:
        return _describe_built(architecture, include_top)
    left_out = ("operation", "base" if include_top else "top")
    return tuple(layer for layer in _rows(table) if layer.part not in left_out)


def _with_classes(layers: Sequence[LayerInfo], classes: int) -> tuple[LayerInfo, ...]:
    """Return the layers with a classifier of so many classes: its last weights and what follows them end in that."""
    last = max(number for number, layer in enumerate(layers) if layer.weights)
    published = layers[last].shape[-1]

    def shape(old: Shape) -> Shape:
        return (*old[:-1], classes) if old[-1:] == (published,) else old

    return tuple(
        layer if number < last else dataclasses.replace(
            layer, shape=shape(layer.shape), weights=tuple((name, shape(old)) for name, old in layer.weights)
        )
        for number, layer in enumerate(layers)
    )  # fmt: skip


def _rows(table: Traversable) -> list[LayerInfo]:
    return [LayerInfo.from_line(line) for line in table.read_text("utf-8").splitlines()]


def has_table(architecture: Architecture) -> bool:
    """Return True if the layers of an architecture are known without building it."""
    return _table(architecture) is not None


def _table(architecture: Architecture) -> Traversable | None:
    """Return the shipped table of an architecture; None if there is none."""
    alpha, file = architecture.options.alpha, None
    if architecture.options.depth_multiplier is None and (alpha is None or alpha in architecture.alphas):
        file = resources.files(architecture.package) / "data" / "layers" / _file_name(architecture)
    return file if file is not None and file.is_file() else None


def _file_name(architecture: Architecture) -> str:
    """``mobilenet.tsv``, ``mobilenet-0.5.tsv``."""
    alpha = architecture.options.alpha
    return f"{architecture.name}.tsv" if alpha is None else f"{architecture.name}-{alpha:g}.tsv"


def _describe_built(architecture: Architecture, include_top: bool) -> tuple[LayerInfo, ...]:
    from tlkit.architectures.build import build

    options = dataclasses.replace(architecture.options, data_format="channels_last")  # as in the shipped tables
    architecture = dataclasses.replace(architecture, options=options)
    layers = describe(build(architecture, include_top=include_top, initialize=False))
    if not include_top:
        return layers
    base = {layer.name for layer in layers_of(architecture, include_top=False)}
    return tuple(dataclasses.replace(layer, part="both" if layer.name in base else "top") for layer in layers)


def describe(model: Any, part: str = "both") -> tuple[LayerInfo, ...]:
    """Return the layers of a built Keras model, all marked as ``part``.

    Their initializers are known while the weights have no values: of ``build(…, initialize=False)``.
    """

    def shape(layer: Any) -> Shape:
        output = layer.output[0] if isinstance(layer.output, list) else layer.output
        return tuple(output.shape[1:])

    inputs = _inputs(model)
    return tuple(
        LayerInfo(
            part, layer.name, type(layer).__name__, shape(layer),
            tuple((_weight_name(layer, weight), tuple(weight.shape)) for weight in layer.weights),
            recurrent_activation_of(layer), groups_of(layer), inputs[layer.name], _options(layer), _initializers(layer),
        )
        for layer in model.layers
    )  # fmt: skip


def _inputs(model: Any) -> dict[str, tuple[str, ...]]:
    """Return the names of what each layer and operation is called on, at its first call."""
    called = {call.operation.name: call for call in reversed(list(calls(model)))}
    return {name: tuple(producer(tensor).name for tensor in call.input_tensors) for name, call in called.items()}


def _operations(model: Any) -> list[LayerInfo]:
    inputs, layers = _inputs(model), {id(layer) for layer in model.layers}
    return [
        LayerInfo(
            "operation", item.name, type(item).__name__, (), (), inputs=inputs[item.name], options=_constants(item)
        )
        for item in model.operations if id(item) not in layers
    ]  # fmt: skip


def _constants(operation: Any) -> dict[str, Any]:
    """Return the numbers that an operation is called on beside tensors, by position."""
    arguments = enumerate(positional_arguments(operation))
    constants = [[position, value] for position, value in arguments if isinstance(value, int | float)]
    return {"constants": constants} if constants else {}


def _options(layer: Any) -> dict[str, Any]:
    """Return the options that decide what a layer computes; of a model, its layers, as a config has them."""
    if hasattr(layer, "layers"):
        inner = [item for item in layer.layers if type(item).__name__ != "InputLayer"]
        return {"layers": [{"class_name": type(item).__name__, "config": {"name": item.name, **_options(item)}}
                           for item in inner]}  # fmt: skip
    config = layer.get_config()
    training = {key: config[key] for key, default in _TRAINING.items() if config.get(key, default) != default}
    options: dict[str, Any] = json.loads(
        json.dumps({**layer_options(type(layer).__name__, config), **training}, default=_as_list)
    )
    return options


_TRAINING = {"rate": None, "momentum": 0.99}
"""Options of Dropout and BatchNormalization that training alone uses, with Keras's defaults."""


def _as_list(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else str(value)


def _weight_name(layer: Any, weight: Any) -> str:
    """``kernel``; in a layer that is a model itself ``layer/kernel``."""
    for inner in getattr(layer, "layers", ()):
        if any(weight is own for own in inner.weights):
            return f"{inner.name}/{weight.name}"
    return str(weight.name)


def _initializers(layer: Any) -> dict[str, Initializer]:
    """Return the initializers that are not the default of their weight."""
    known = {
        _weight_name(layer, weight): initializer_of(initializer)
        for weight in layer.weights if (initializer := uninitialized(weight)) is not None
    }  # fmt: skip
    return {name: own for name, own in known.items() if own != BY_ROLE.get(name.rpartition("/")[2])}


def initializers_of(architecture: Architecture, *, include_top: bool) -> dict[tuple[str, ...], dict[str, Initializer]]:
    """Return ``{path and name of a layer: {role: initializer}}`` of weights that start otherwise than their role."""
    found: dict[tuple[str, ...], dict[str, Initializer]] = {}
    for layer in layers_of(architecture, include_top=include_top):
        for name, initializer in layer.initializers.items():
            *inner, role = name.split("/")
            found.setdefault((layer.name, *inner), {})[role] = initializer
    return found


def expected_layers(architecture: Architecture, *, include_top: bool) -> list[LayerSpec]:
    """Return the layers that an architecture expects in a weights file, from its table: no model is built."""
    expected: list[LayerSpec] = []
    flattened: Shape | None = None
    before: Shape = ()
    for layer in layers_of(architecture, include_top=include_top):
        if layer.kind == "Flatten":
            flattened = before
        in_classifier = layer.part == "top"
        inner: dict[str, list[tuple[str, Shape]]] = {}
        for name, shape in layer.weights:
            owner, _, role = name.rpartition("/")
            inner.setdefault(owner, []).append((role, shape))
        for owner, tensors in inner.items():
            if owner:  # the models inside ConvNeXt are made of these two
                kind = "LayerNormalization" if tensors[0][0] == "gamma" else "Conv2D"
                expected.append(LayerSpec(owner, kind, tuple(tensors), (layer.name,), in_classifier=in_classifier))
            else:
                map_shape = flattened if layer.kind == "Dense" and len(flattened or ()) == 3 else None
                expected.append(
                    LayerSpec(
                        layer.name,
                        layer.kind,
                        tuple(tensors),
                        (),
                        map_shape,
                        recurrent_activation=layer.recurrent_activation,
                        groups=layer.groups,
                        in_classifier=in_classifier,
                    )
                )
        if layer.weights:
            flattened = None
        before = layer.shape
    return expected


def operations_of(architecture: Architecture) -> tuple[LayerInfo, ...]:
    """Return what an architecture computes beside its layers, such as the sum of two tensors, from its table."""
    table = _table(architecture)
    return tuple(row for row in (_rows(table) if table else ()) if row.part == "operation")


def catalog_lines(base: Any, whole: Any) -> list[str]:
    """Return the table of an architecture, given the models without and with its classifier."""
    without, with_top = describe(base), describe(whole)
    shared = {layer.name for layer in without} & {layer.name for layer in with_top}
    lines = [LayerInfo("both" if layer.name in shared else "base", *_rest(layer)).line() for layer in without]
    lines += [LayerInfo("top", *_rest(layer)).line() for layer in with_top if layer.name not in shared]
    return lines + [operation.line() for operation in _operations(whole)]


def _rest(layer: LayerInfo) -> tuple[Any, ...]:
    return (
        layer.name, layer.kind, layer.shape, layer.weights, layer.recurrent_activation, layer.groups, layer.inputs,
        layer.options, layer.initializers,
    )  # fmt: skip


def _write(names: Sequence[str]) -> None:
    from tlkit.architectures.build import build
    from tlkit.architectures.registry.lookup import all_architectures, get_architecture

    folder = Path(__file__).parent / "data" / "layers"
    for default in map(get_architecture, names) if names else all_architectures():
        for alpha in default.alphas or (None,):
            architecture = default.configured(BuildOptions(alpha=alpha, data_format="channels_last"))
            base, whole = (build(architecture, include_top=top, initialize=False) for top in (False, True))
            lines = catalog_lines(base, whole)
            (folder / _file_name(architecture)).write_text("\n".join(lines) + "\n", "utf-8")
            print(_file_name(architecture), len(lines), flush=True)


if __name__ == "__main__":
    _write(sys.argv[1:])

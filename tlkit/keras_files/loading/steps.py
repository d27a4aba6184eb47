"""What a network computes, read from a model config of any Keras as steps, each with its inputs.

Models inside models are laid out flat. What changes no number is left out: names, initializers, what only works while
training, how an activation or a padding is written.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tlkit.keras_files.model_config import data_layout, parse_config
from tlkit.keras_files.upgrade.config import layer_upgrader

if TYPE_CHECKING:
    import numpy as np

Sides = tuple[int | None, int | None]

_MODELS = {"Sequential", "Functional", "Model"}
CONVOLUTIONS = {"Conv2D", "DepthwiseConv2D", "SeparableConv2D"}
POOLS = {"MaxPooling2D": "GlobalMaxPooling2D", "AveragePooling2D": "GlobalAveragePooling2D"}
_PLAIN = {
    "activation", "axis", "data_format", "dilation_rate", "epsilon", "interpolation", "keepdims", "kernel_size",
    "padding", "pool_size", "strides",
}  # fmt: skip
_NO_NUMBERS = {
    "batch_input_shape", "batch_shape", "build_input_shape", "center", "constants", "depth_multiplier", "downsampling",
    "dtype",
    "filters", "fused",
    "groups", "implementation", "input_dim", "input_shape", "input_length", "keepdims", "lora_alpha", "lora_rank",
    "momentum", "name", "optional", "quantization_config", "ragged", "rate", "registered_name", "renorm",
    "renorm_clipping", "renorm_momentum", "seed", "shape", "sparse", "stateful", "synchronized", "trainable",
    "units", "unroll", "use_bias", "virtual_batch_size", "zero_output_for_mask",
}  # fmt: skip
"""Options without an influence on what is computed for inference, or with one on the shapes of the weights only."""
_MARGINS = {"ZeroPadding2D", "Cropping2D"}
DEFAULTS: dict[str, Any] = {
    "activation": "linear", "axis": -1, "dilation_rate": 1, "epsilon": 0.001, "go_backwards": False,
    "padding": "valid", "return_sequences": False, "strides": 1,
}  # fmt: skip
_ACTIVATIONS = {"swish": "silu", "hard_swish": "hard_silu", "softmax_v2": "softmax"}
_AS_ACTIVATION = {"Relu", "Relu6", "Silu", "Sigmoid", "Softmax", "Tanh", "Selu", "Gelu", "Softplus", "Softsign"}


@dataclass(eq=False)
class Step:
    """One call of a layer or operation.

    Attributes:
        name: Of the layer.
        kind: Its class; activations of every kind are ``Activation``.
        options: Those that change what it computes, without defaults.
        inputs: The steps it takes, in order.
        path: The names of the models that it is inside of, outermost first.
        sides: Height and width of its output, where they are known.
        constants: Numbers among the arguments of an operation: ``(position, value)``.
        is_known: False for code and classes of others: what it computes is unknown.
    """

    name: str
    kind: str
    options: dict[str, Any] = field(default_factory=dict)
    inputs: tuple[Step, ...] = ()
    path: tuple[str, ...] = ()
    sides: Sides = (None, None)
    constants: tuple[tuple[int, Any], ...] = ()
    is_known: bool = True

    def __str__(self) -> str:
        """Return class, name and options, for messages."""
        options = ", ".join(f"{key} {shown(value)}" for key, value in self.options.items() if key not in _HIDDEN)
        return f"{self.kind} {self.name}{f' ({options})' if options else ''}"


_HIDDEN = {"kernel_size"}


@dataclass(frozen=True)
class Network:
    """What a network computes.

    Attributes:
        steps: Every step, inputs first; of a layer with an activation, the activation is the step behind it.
        outputs: The steps that it returns.
        preprocess: What its inputs have gone through, for rows of three channels; None where they are no pixels.
    """

    steps: tuple[Step, ...]
    outputs: tuple[Step, ...]
    preprocess: Callable[[np.ndarray], np.ndarray] | None = None

    def find(self, path: tuple[str, ...], name: str) -> Step | None:
        """Return the step of the layer with that name; None if there is none, or if it is called more than once."""
        found = [step for step in self.steps if step.name == name and step.kind != "Activation"]
        exact = [step for step in found if step.path == path]
        return exact[0] if len(exact) == 1 else found[0] if len(found) == 1 else None


def read_network(
    config: Any, *, keras_version: str | None = None, preprocess: Callable[[np.ndarray], np.ndarray] | None = None
) -> Network | None:
    """Read a model config as steps; None where it is not one of a Sequential or functional model.

    Args:
        config: A model config of any Keras: parsed JSON, or that of a Keras 3 model.
        keras_version: Of the Keras that wrote it; None to detect it.
        preprocess: What inputs have gone through before.
    """
    try:
        parsed = parse_config(config)
        channels_first = parsed is not None and data_layout(parsed) == "channels_first"
        reader = _Reader(layer_upgrader(config, keras_version=keras_version), channels_first)
        outputs = reader.model(config, None, ())
    except (AttributeError, IndexError, KeyError, TypeError, ValueError, RecursionError):
        return None  # damaged, or of classes of others: the comparison has nothing to go by
    return Network(tuple(reader.steps), tuple(outputs), preprocess)


def layer_options(kind: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a layer of Keras 3 that decide what it computes, without defaults."""
    options = {}
    for key, value in config.items():
        if key in _NO_NUMBERS or key.endswith(("_initializer", "_regularizer", "_constraint", "_seed")):
            continue
        if key == "data_format" or (key == "scale" and isinstance(value, bool)):
            continue
        value = margins(value) if kind in _MARGINS else _plain(key, value)
        if value is not None and not (key in DEFAULTS and value == DEFAULTS[key]):
            options[key] = value
    if kind in POOLS:
        options.setdefault("strides", 1 if config.get("strides") else options.get("pool_size", 2))
    return options


def _plain(key: str, value: Any) -> Any:
    if isinstance(value, dict) and isinstance(value.get("config"), dict) and "activation" not in key:  # in a wrapper
        return [value.get("class_name"), layer_options(str(value.get("class_name")), value["config"])]
    if key in ("activation", "recurrent_activation"):
        if isinstance(value, dict):
            value = value.get("config") if isinstance(value.get("config"), str) else value.get("class_name")
        return _ACTIVATIONS.get(value, value) if isinstance(value, str) else "linear" if value is None else str(value)
    if key == "axis" and isinstance(value, list | tuple) and len(value) == 1:
        value = value[0]
    if isinstance(value, list | tuple):
        items = [_plain("", item) for item in value]
        return items[0] if key in _PLAIN and items and all(item == items[0] for item in items) else items
    return value


class _Reader:
    """Reads models, one inside another."""

    def __init__(self, upgrade: Callable[[dict[str, Any]], dict[str, Any] | None], channels_first: bool) -> None:
        self.upgrade, self.channels_first = upgrade, channels_first
        self.steps: list[Step] = []

    def model(self, entry: Mapping[str, Any], given: Sequence[Step] | None, path: tuple[str, ...]) -> list[Step]:
        """Read a model; ``given`` are the steps that it is called on, None for the outermost."""
        config = entry["config"] if "class_name" in entry else entry
        layers = config if isinstance(config, list) else config["layers"]
        if isinstance(config, list) or "input_layers" not in config:
            return self._sequential(layers, given, path)
        return self._functional(config, layers, given, path)

    def _sequential(self, layers: Any, given: Sequence[Step] | None, path: tuple[str, ...]) -> list[Step]:
        current = list(given or ())
        for entry in layers:
            if entry["class_name"] == "InputLayer":
                current = current or [self._input(entry, path)]
                continue
            if not current:
                current = [self._input(_first(entry), path)]
            current = self._call(entry, current, (), path)
        return current

    def _functional(
        self, config: Mapping[str, Any], layers: Any, given: Sequence[Step] | None, path: tuple[str, ...]
    ) -> list[Step]:
        names = {entry["name"] for entry in layers}
        inputs = [name for name, *_ in _references(config["input_layers"], names)]
        calls: dict[str, list[list[Step] | None]] = {}
        waiting: list[tuple[int, dict[str, Any], Any]] = []
        for entry in layers:
            nodes = [node for node in entry.get("inbound_nodes") or () if node]
            calls[entry["name"]] = [None] * max(len(nodes), 1)
            if entry["name"] in inputs:
                place = inputs.index(entry["name"])
                calls[entry["name"]] = [[given[place] if given and place < len(given) else self._input(entry, path)]]
            else:
                waiting += [(number, entry, node) for number, node in enumerate(nodes)]
        models = {entry["name"] for entry in layers if entry["class_name"] in _MODELS}

        def value(reference: tuple[str, int, int]) -> Step | None:
            name, index, output = reference
            done = calls[name]
            outputs = done[0] if len(done) == 1 else done[min(max(index - (name in models), 0), len(done) - 1)]
            return None if outputs is None else outputs[min(output, len(outputs) - 1)]

        while waiting:
            left = []
            for number, entry, node in waiting:
                tensors, constants = [], []
                for position, item in enumerate(_arguments(node, names)):
                    if isinstance(item, tuple):
                        tensors.append(value(item))
                    else:
                        constants.append((position, item))
                if any(tensor is None for tensor in tensors):
                    left.append((number, entry, node))
                else:
                    steps = [tensor for tensor in tensors if tensor is not None]
                    calls[entry["name"]][number] = self._call(entry, steps, tuple(constants), path)
            if len(left) == len(waiting):
                break  # what is left is fed by none of this model's inputs
            waiting = left
        outputs = [value(item) for item in _references(config["output_layers"], names)]
        if None in outputs:
            raise ValueError("its outputs do not follow from its inputs")
        return [step for step in outputs if step is not None]

    def _input(self, entry: Mapping[str, Any], path: tuple[str, ...]) -> Step:
        config = entry.get("config") or {}
        shape: Any = config.get("batch_shape") or config.get("batch_input_shape") or ()
        start = 2 if self.channels_first else 1
        sides: Sides = (shape[start], shape[start + 1]) if len(shape) == 4 else (None, None)
        step = Step(str(config.get("name", "input")), "InputLayer", path=path, sides=sides)
        self.steps.append(step)
        return step

    def _call(
        self, entry: dict[str, Any], inputs: list[Step], constants: tuple[tuple[int, Any], ...], path: tuple[str, ...]
    ) -> list[Step]:
        config = entry.get("config")
        name = str((config.get("name") if isinstance(config, dict) else None) or entry.get("name"))
        if entry["class_name"] in _MODELS:
            return self.model(entry, inputs, (*path, name))
        upgraded = self.upgrade(entry)
        kind = str(upgraded["class_name"] if upgraded else entry["class_name"])
        options = layer_options(kind, upgraded["config"]) if upgraded else {}
        channels = (1,) if self.channels_first else (3, 1) if inputs[0].sides == (None, None) else (3,)
        if options.get("axis") in channels:
            del options["axis"]
        step = _canonical(Step(name, kind, options, tuple(inputs), path, constants=constants))
        step.is_known = upgraded is not None
        step.sides = _sides(step)
        self.steps.append(step)
        activation = options.get("activation") if step.kind != "Activation" else None
        if activation and step.kind not in _RECURRENT:
            del step.options["activation"]
            step = Step(name, "Activation", {"activation": activation}, (step,), path, step.sides)
            self.steps.append(step)
        return [step]


_RECURRENT = {"GRU", "LSTM", "SimpleRNN", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"}


def _canonical(step: Step) -> Step:
    """Write what has several forms in one: activations, global pooling."""
    options, kind = step.options, step.kind
    if kind in ("ReLU", "LeakyReLU") and not options.get("threshold"):
        slope, most = options.get("negative_slope") or 0, options.get("max_value")
        name = {(0, None): "relu", (0, 6): "relu6"}.get((slope, most))
        if name:
            step.kind, step.options = "Activation", {"activation": name}
    elif kind == "Activation" and "activation" not in options:
        step.kind = "Identity"
    elif kind == "Softmax" or kind in _AS_ACTIVATION:
        step.kind, step.options = "Activation", {"activation": kind.lower()}
    elif kind == "ELU" and options.get("alpha", 1) == 1:
        step.kind, step.options = "Activation", {"activation": "elu"}
    elif kind in POOLS:
        sides, size = step.inputs[0].sides, pair(options.get("pool_size", 2))
        if None not in sides and sides == size and options.get("padding") != "same":
            step.kind, step.options = POOLS[kind], {}
    elif kind in ("Mean", "Max") and options.get("axis") in ([1, 2], (1, 2)):
        step.kind, step.options = f"Global{'Average' if kind == 'Mean' else 'Max'}Pooling2D", {}
    elif kind in ("TrueDivide", "Divide"):
        step.kind = "TrueDivide"
    elif kind == "Multiply" and (gated := _gated(step)):
        step.kind, step.options, step.inputs, step.constants = "Activation", {"activation": gated[0]}, (gated[1],), ()
    return step


def _gated(step: Step) -> tuple[str, Step] | None:
    """Return the activation that a product is, and of what: hard sigmoid, hard swish and swish written out."""
    import numpy as np

    if len(step.inputs) == 1 and len(step.constants) == 1:
        (clipped,), sixth = step.inputs, channels_of(step.constants[0][1])
        moved = clipped.inputs[0] if clipped.options.get("activation") == "relu6" else None
        if moved and sixth is not None and np.allclose(sixth, 1 / 6) and moved.kind == "Add" and moved.constants:
            three = channels_of(moved.constants[0][1])
            return ("hard_sigmoid", moved.inputs[0]) if three is not None and np.allclose(three, 3) else None
    if len(step.inputs) == 2:
        for value, gate in (step.inputs, step.inputs[::-1]):
            name = {"sigmoid": "silu", "hard_sigmoid": "hard_silu"}.get(str(gate.options.get("activation")))
            if name and gate.kind == "Activation" and gate.inputs[0] is value:
                return name, value
    return None


def _sides(step: Step) -> Sides:
    """Return height and width of the output of a step, as far as they follow from those of its inputs."""
    options, kind = step.options, step.kind
    if not step.inputs:
        return None, None
    if kind.startswith("Global"):
        return 1, 1
    if kind == "Resizing":
        return options.get("height"), options.get("width")
    known = [item.sides for item in step.inputs]
    before: Sides = max(known, key=lambda sides: sides[0] or 0)
    if kind in CONVOLUTIONS or kind in POOLS:
        size = pair(options.get("kernel_size" if kind in CONVOLUTIONS else "pool_size", 1))
        strides, dilation = pair(options.get("strides", 1)), pair(options.get("dilation_rate", 1))
        same = options.get("padding") == "same"
        return tuple(  # type: ignore[return-value]
            None if side is None else -(-side // s) if same else (side - (k - 1) * d - 1) // s + 1
            for side, k, s, d in zip(before, size, strides, dilation, strict=True)
        )
    if kind in _MARGINS:
        sign = 1 if kind == "ZeroPadding2D" else -1
        sums = margins(options.get("padding" if sign == 1 else "cropping", 1 if sign == 1 else 0))
        return tuple(  # type: ignore[return-value]
            None if side is None else side + sign * sum(both) for side, both in zip(before, sums, strict=True)
        )
    if kind in ("UpSampling2D", "Conv2DTranspose"):
        factors = pair(options.get("size" if kind == "UpSampling2D" else "strides", 1))
        return tuple(None if side is None else side * factor for side, factor in zip(before, factors, strict=True))  # type: ignore[return-value]
    return before


def pair(value: Any) -> tuple[Any, Any]:
    """Return an option of two sides, which may be given as one value."""
    return (value[0], value[1]) if isinstance(value, list | tuple) else (value, value)


def margins(value: Any) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return what a padding or cropping adds at ``((top, bottom), (left, right))``, however it is given."""
    rows, columns = pair(value)
    top, bottom = pair(rows)
    left, right = pair(columns)
    return (top, bottom), (left, right)


def _first(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the layer that a Sequential without an InputLayer begins with, however deep inside."""
    config = entry.get("config")
    layers = config if isinstance(config, list) else config.get("layers") if isinstance(config, dict) else None
    return _first(layers[0]) if layers else {"config": {**(config or {}), "name": "input"}}


def _references(value: Any, names: set[str]) -> Iterator[tuple[str, int, int]]:
    if isinstance(value, dict):
        for item in value.values():
            yield from _references(item, names)
    elif isinstance(value, list | tuple):
        if len(value) == 3 and isinstance(value[0], str) and value[0] in names:
            yield value[0], int(value[1]), int(value[2])
            return
        for item in value:
            yield from _references(item, names)


def _arguments(node: Any, names: set[str]) -> Iterator[Any]:
    """Iterate over the arguments of a call: ``(layer, call, output)`` for a tensor, and constants as they are."""
    if isinstance(node, dict) and "args" in node:  # Keras 3
        yield from _tensors(node["args"], names)
        yield from _tensors(list((node.get("kwargs") or {}).values()), names, constants=False)
        return
    for item in [node] if isinstance(node[0], str) else node:
        yield item[2] if item[0] == "_CONSTANT_VALUE" else (item[0], int(item[1]), int(item[2]))
        for key, value in (item[3] if len(item) > 3 else {}).items():
            if isinstance(value, list) and len(value) == 3 and value[0] in names:
                yield value[0], int(value[1]), int(value[2])
            elif key == "y":
                yield value


def _tensors(value: Any, names: set[str], *, constants: bool = True) -> Iterator[Any]:
    if isinstance(value, dict) and value.get("class_name") == "__keras_tensor__":
        name, index, output = value["config"]["keras_history"]
        yield name, int(index), int(output)
    elif isinstance(value, list | tuple) and any("__keras_tensor__" in json.dumps(item, default=str) for item in value):
        for item in value:
            yield from _tensors(item, names, constants=constants)
    elif constants and value is not None:
        yield value


# --- comparing ---------------------------------------------------------------------------------------------------


def channels_of(value: Any) -> np.ndarray | None:
    """Return a constant as a number for each of three channels; None if it is none."""
    import numpy as np

    while isinstance(value, dict) and "config" in value:
        value = value["config"]
    if isinstance(value, dict):
        value = value.get("value")
    try:
        numbers = np.asarray(value, np.float64).ravel()
    except (TypeError, ValueError):
        return None
    return np.broadcast_to(numbers, 3).copy() if numbers.size in (1, 3) else None


def shown(value: Any) -> str:
    """Return the value of an option as messages show it."""
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | tuple):
        text = ", ".join(map(shown, value[:4]))
        return f"({text}{', …' if len(value) > 4 else ''})"
    return str(value)[:60]

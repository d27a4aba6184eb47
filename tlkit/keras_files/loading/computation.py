"""Compare what a file's network computes with what another computes: shapes alone do not tell strides or paddings.

A model config is read as steps, each with its inputs; models inside models are laid out flat. What changes no number is
left out of the comparison: names, initializers, what only works while training, how an activation or a padding is
written. The constants that scale pixels in front of the first weights are compared as one affine map.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tlkit.keras_files.model_config import data_layout, parse_config
from tlkit.keras_files.upgrade.config import layer_upgrader

if TYPE_CHECKING:
    import numpy as np

Sides = tuple[int | None, int | None]

_MODELS = {"Sequential", "Functional", "Model"}
_CONVOLUTIONS = {"Conv2D", "DepthwiseConv2D", "SeparableConv2D"}
_POOLS = {"MaxPooling2D": "GlobalMaxPooling2D", "AveragePooling2D": "GlobalAveragePooling2D"}
_ANY_ORDER = {"Add", "Multiply", "Average", "Maximum", "Minimum"}
_UNCHANGED = {
    "ActivityRegularization", "AlphaDropout", "Cast", "Dropout", "FixedDropout", "Flatten", "GaussianDropout",
    "GaussianNoise", "Identity", "Reshape", "Resizing", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D",
    "StochasticDepth", "StopGradient",
}  # fmt: skip
"""Layers that change no value of an image for inference; the shapes of weights show what a Reshape did."""
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
_DEFAULTS: dict[str, Any] = {
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
        shown = ", ".join(f"{key} {_shown(value)}" for key, value in self.options.items() if key not in _HIDDEN)
        return f"{self.kind} {self.name}{f' ({shown})' if shown else ''}"


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
        value = _margins(value) if kind in _MARGINS else _plain(key, value)
        if value is not None and not (key in _DEFAULTS and value == _DEFAULTS[key]):
            options[key] = value
    if kind in _POOLS:
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
    elif kind in _POOLS:
        sides, size = step.inputs[0].sides, _pair(options.get("pool_size", 2))
        if None not in sides and sides == size and options.get("padding") != "same":
            step.kind, step.options = _POOLS[kind], {}
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
        (clipped,), sixth = step.inputs, _channels(step.constants[0][1])
        moved = clipped.inputs[0] if clipped.options.get("activation") == "relu6" else None
        if moved and sixth is not None and np.allclose(sixth, 1 / 6) and moved.kind == "Add" and moved.constants:
            three = _channels(moved.constants[0][1])
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
    if kind in _CONVOLUTIONS or kind in _POOLS:
        size = _pair(options.get("kernel_size" if kind in _CONVOLUTIONS else "pool_size", 1))
        strides, dilation = _pair(options.get("strides", 1)), _pair(options.get("dilation_rate", 1))
        same = options.get("padding") == "same"
        return tuple(  # type: ignore[return-value]
            None if side is None else -(-side // s) if same else (side - (k - 1) * d - 1) // s + 1
            for side, k, s, d in zip(before, size, strides, dilation, strict=True)
        )
    if kind in _MARGINS:
        sign = 1 if kind == "ZeroPadding2D" else -1
        margins = _margins(options.get("padding" if sign == 1 else "cropping", 1 if sign == 1 else 0))
        return tuple(  # type: ignore[return-value]
            None if side is None else side + sign * sum(margin) for side, margin in zip(before, margins, strict=True)
        )
    if kind in ("UpSampling2D", "Conv2DTranspose"):
        factors = _pair(options.get("size" if kind == "UpSampling2D" else "strides", 1))
        return tuple(None if side is None else side * factor for side, factor in zip(before, factors, strict=True))  # type: ignore[return-value]
    return before


def _pair(value: Any) -> tuple[Any, Any]:
    return (value[0], value[1]) if isinstance(value, list | tuple) else (value, value)


def _margins(value: Any) -> tuple[tuple[int, int], tuple[int, int]]:
    rows, columns = _pair(value)
    top, bottom = _pair(rows)
    left, right = _pair(columns)
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


def differences(
    file: Network,
    network: Network,
    pairs: Sequence[tuple[Step, Step]],
    *,
    assumed: Sequence[Step] = (),
    sums: Sequence[Step] = (),
    whole: bool,
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what the network of a file computes in another way, in words, and what cannot be told.

    Args:
        file: The network of the file.
        network: The one that its weights are for.
        pairs: The layers with the same weights: that of the file, that of the network.
        assumed: Layers of the network that the file lacks and that are set to constants.
        sums: Layers of the file that belong to the one before them.
        whole: True if the network has every weight, so that what it returns is compared too.
    """
    compared = _Comparison(file, network, pairs, assumed, sums)
    found = [why for mine, other in pairs if (why := compared.layers(mine, other))]
    if whole and not found and (why := compared.ends()):
        found.append(why)
    return tuple(dict.fromkeys(found)), tuple(dict.fromkeys(compared.notes))


class _Comparison:
    def __init__(
        self,
        file: Network,
        network: Network,
        pairs: Sequence[tuple[Step, Step]],
        assumed: Sequence[Step],
        sums: Sequence[Step],
    ) -> None:
        self.file, self.network = file, network
        self.sums = {id(step) for step in sums}
        self.partner = {id(other): mine for mine, other in pairs}
        self.assumed = {id(step) for step in assumed}
        self.weighted = {id(mine) for mine, _ in pairs}
        self.notes: list[str] = []
        self.known: dict[tuple[int, int], str | None] = {}
        self.maps: dict[int, Any] = {}

    def layers(self, mine: Step, other: Step) -> str | None:
        """Return how two layers with the same weights differ: their own options, then what they are called on."""
        if mine.kind == other.kind or {mine.kind, other.kind} <= _CONVOLUTIONS:
            leave_out = {"padding", "kernel_size"} if other.kind in _CONVOLUTIONS else set()
            why = self._options(mine, other, leave_out) if mine.is_known else None
            if why is None and other.kind in _CONVOLUTIONS and mine.is_known and not _pads_alike(mine, other):
                why = f"pads by {_shown_padding(mine)} in the file and by {_shown_padding(other)} here"
            if why:
                return f"layer {other.name} {why}"
        pad = other.kind in _CONVOLUTIONS
        befores = [(_padded(layer)[0],) if pad else layer.inputs for layer in (mine, other)]
        if len(befores[0]) != len(befores[1]):
            return f"layer {other.name} takes {len(befores[0])} inputs in the file and {len(befores[1])} here"
        for one, two in zip(*befores, strict=True):
            if why := self.same(one, two):
                return f"before layer {other.name} {why}"
        return None

    def ends(self) -> str | None:
        """Return how what the two return differs."""
        for end in self.network.outputs:
            if any(self.same(step, end) is None for step in self.file.steps):
                continue
            last = self._skip(end)
            if last.options.get("activation") == "softmax" and any(
                self.same(step, last.inputs[0]) is None for step in self.file.outputs
            ):
                self.notes.append("Its classifier returns logits; here a softmax makes them probabilities.")
                continue
            why = self.same(self.file.outputs[0], end) if self.file.outputs else None
            return f"the network ends in {last}: {why}" if why else f"the file has nothing like the end, {last}"
        return None

    def same(self, mine: Step, other: Step) -> str | None:
        """Return how two steps differ in what they compute; None if they do not."""
        key = id(mine), id(other)
        if key not in self.known:
            self.known[key] = self._same(self._skip(mine), self._skip(other))
        return self.known[key]

    def _skip(self, step: Step) -> Step:
        while (
            (step.kind in _UNCHANGED or step.kind.startswith("Random") or id(step) in self.sums)
            and step.inputs
            and id(step) not in self.weighted
        ):
            step = step.inputs[0]
        return step

    def _same(self, mine: Step, other: Step) -> str | None:
        if id(other) in self.partner:
            expected = self.partner[id(other)]
            if mine is expected or (not mine.is_known and self._sums(mine, other)):
                return None
            return f"the file has {mine}, and the network {other}"
        scaled, expected_map = self._map(mine), self._map(other)
        if expected_map is not None and scaled is not None:
            before = _affine(self.network.preprocess)
            if _close(scaled, expected_map) or _close(scaled, _compose(expected_map, before)):
                return None
            if self._is_assumed(other) and _close(scaled, _identity()):
                return None
            return f"the file scales pixels by {_shown_map(mine)}, and the network by {_shown_map(other)}"
        alike = bool(other.inputs) and len(mine.inputs) == len(other.inputs)
        if alike and not mine.is_known and self._inputs(mine, other) is None:
            self.notes.append(f"Layer {mine.name} ({mine.kind}) is code, which is not looked into; taken for {other}.")
            return None
        if mine.kind != other.kind or len(mine.inputs) != len(other.inputs):
            return f"the file has {mine}, and the network {other}"
        leave_out = {"padding", "strides", "pool_size"} if mine.kind in _POOLS else set()
        if why := self._options(mine, other, leave_out):
            return f"{other.kind} {other.name} {why}"
        if mine.kind in _POOLS and (why := _pools(mine, other)):
            return f"{other.kind} {other.name} {why}"
        if mine.constants != other.constants:
            return f"the file has {mine} of {_shown(mine.constants)}, and the network of {_shown(other.constants)}"
        return self._inputs(mine, other)

    def _is_assumed(self, other: Step) -> bool:
        """Return True for scaling that a file may leave to what is in front of the network."""
        return id(other) in self.assumed or any(self._is_assumed(self._skip(step)) for step in other.inputs)

    def _sums(self, mine: Step, other: Step) -> bool:
        """Return True for code behind a depthwise convolution that sums groups: the network has one layer for both."""
        return (
            len(mine.inputs) == 1
            and self._skip(mine.inputs[0]) is self.partner[id(other)] is not None
            and (self.partner[id(other)].kind != other.kind)
        )

    def _inputs(self, mine: Step, other: Step) -> str | None:
        if other.kind not in _ANY_ORDER or len(mine.inputs) < 2:
            return next((why for a, b in zip(mine.inputs, other.inputs, strict=True) if (why := self.same(a, b))), None)
        left, first = list(mine.inputs), None
        for expected in other.inputs:
            reasons = [self.same(step, expected) for step in left]
            if None not in reasons:
                return first or reasons[0]
            left.pop(reasons.index(None))
        return None

    def _options(self, mine: Step, other: Step, leave_out: set[str]) -> str | None:
        for key in sorted({*mine.options, *other.options} - leave_out):
            if key not in _DEFAULTS and (key not in mine.options or key not in other.options):
                continue  # an option that one of the two Keras did not have
            one, two = (step.options.get(key, _DEFAULTS.get(key)) for step in (mine, other))
            if not _equal(one, two):
                return f"has {key} {_shown(one)} in the file and {_shown(two)} here"
        return None

    def _map(self, step: Step) -> Any:
        """Return what pixels have gone through up to a step, as a matrix and an offset; None for anything else."""
        step = self._skip(step)
        if id(step) not in self.maps:
            self.maps[id(step)] = None if id(step) in self.weighted or id(step) in self.partner else self._made(step)
        return self.maps[id(step)]

    def _made(self, step: Step) -> Any:
        if step.kind == "InputLayer":
            return _identity()
        own = _own_map(step)
        before = self._map(step.inputs[0]) if own is not None and len(step.inputs) == 1 else None
        return None if own is None or before is None else _compose(own, before)


def _identity() -> Any:
    import numpy as np

    return np.eye(3), np.zeros(3)


def _own_map(step: Step) -> Any:
    """Return what a step with constants does to three channels, as a matrix and an offset; None for any other."""
    import numpy as np

    options, kind = step.options, step.kind
    if kind == "Rescaling":
        scale, offset = _channels(options.get("scale", 1)), _channels(options.get("offset", 0))
    elif kind == "Normalization" and options.get("mean") is not None and options.get("variance") is not None:
        mean, variance = _channels(options["mean"]), _channels(options["variance"])
        if mean is None or variance is None:
            return None
        deviation = np.maximum(np.sqrt(variance), 1e-7)
        scale, offset = 1 / deviation, -mean / deviation
    elif kind in ("Add", "Subtract", "Multiply", "TrueDivide") and len(step.constants) == 1:
        ((position, value),) = step.constants
        number, one, zero = _channels(value), np.ones(3), np.zeros(3)
        if number is None or (position == 0 and kind == "TrueDivide"):
            return None
        turned = -one if position == 0 else one
        scale, offset = {
            "Add": (one, number), "Subtract": (turned, -turned * number),
            "Multiply": (number, zero), "TrueDivide": (one / number, zero),
        }[kind]  # fmt: skip
    elif kind == "GetItem" and len(step.constants) == 1 and _turns_channels(step.constants[0][1]):
        return np.eye(3)[::-1], np.zeros(3)
    else:
        return None
    return None if scale is None or offset is None else (np.diag(scale), offset)


def _turns_channels(index: Any) -> bool:
    text = json.dumps(index, default=str).replace(" ", "").lower()
    return "ellipsis" in text and "-1" in text and text.count("slice") <= 2


def _channels(value: Any) -> np.ndarray | None:
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


def _affine(preprocess: Callable[[np.ndarray], np.ndarray] | None) -> Any:
    import numpy as np

    if preprocess is None:
        return _identity()
    rows = preprocess(np.concatenate([np.zeros((1, 3)), 255 * np.eye(3)]).astype(np.float32)).astype(np.float64)
    return (rows[1:] - rows[0]).T / 255, rows[0]


def _compose(after: Any, before: Any) -> Any:
    return after[0] @ before[0], after[0] @ before[1] + after[1]


def _close(one: Any, two: Any) -> bool:
    import numpy as np

    return bool(np.allclose(one[0] * 255, two[0] * 255, atol=1e-3) and np.allclose(one[1], two[1], atol=1e-3))


def _padded(step: Step) -> tuple[Step, Any]:
    """Return what a convolution is called on, without a ZeroPadding, and by how much its sides are padded."""
    before = step.inputs[0]
    if step.options.get("padding") == "same":
        return before, "same"
    while before.kind in _UNCHANGED and before.inputs:
        before = before.inputs[0]
    if before.kind == "ZeroPadding2D" and step.kind in _CONVOLUTIONS:
        return before.inputs[0], _margins(before.options.get("padding", 1))
    return step.inputs[0], ((0, 0), (0, 0))


def _pads_alike(mine: Step, other: Step) -> bool:
    """Return True if two convolutions pad by as much, or each by what ``same`` is at its own size."""
    (_, one), (_, two) = _padded(mine), _padded(other)
    return bool(one == two) or all(_is_same(step) for step in (mine, other))


def _is_same(step: Step) -> bool:
    before, padding = _padded(step)
    if padding == "same":
        return True
    size, strides = _pair(step.options.get("kernel_size", 1)), _pair(step.options.get("strides", 1))
    dilation = _pair(step.options.get("dilation_rate", 1))
    for side, k, s, d, margin in zip(before.sides, size, strides, dilation, padding, strict=True):
        sides = range(s, 2 * s) if side is None or s == 1 else (side,)
        if margin not in [_same_margin(side, (k - 1) * d + 1, s) for side in sides]:
            return False
    return True


def _same_margin(side: int, size: int, stride: int) -> tuple[int, int]:
    total = max((-(-side // stride) - 1) * stride + size - side, 0) if stride > 1 else size - 1
    return total // 2, total - total // 2


def _pools(mine: Step, other: Step) -> str | None:
    for key in ("pool_size", "strides"):
        one, two = (_pair(step.options.get(key, 2)) for step in (mine, other))
        if one != two:
            return f"has {key} {_shown(one)} in the file and {_shown(two)} here"
    words = [step.options.get("padding", "valid") for step in (mine, other)]
    if words[0] != words[1] and not all(_pads_nothing(step) for step in (mine, other)):
        return f"has padding {words[0]} in the file and {words[1]} here"
    return None


def _pads_nothing(step: Step) -> bool:
    sides, size, strides = step.inputs[0].sides, _pair(step.options["pool_size"]), _pair(step.options["strides"])
    return None not in sides and all(
        (side - k) % s == 0 for side, k, s in zip(sides, size, strides, strict=True) if side is not None
    )


def _equal(one: Any, two: Any) -> bool:
    numbers = (int, float)
    if isinstance(one, numbers) and isinstance(two, numbers) and not isinstance(one, bool):
        return math.isclose(one, two, rel_tol=1e-6)
    if isinstance(one, list | tuple) and isinstance(two, list | tuple):
        return len(one) == len(two) and all(_equal(a, b) for a, b in zip(one, two, strict=True))
    return bool(one == two)


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | tuple):
        text = ", ".join(map(_shown, value[:4]))
        return f"({text}{', …' if len(value) > 4 else ''})"
    return str(value)[:60]


def _shown_padding(step: Step) -> str:
    padding = _padded(step)[1]
    return padding if isinstance(padding, str) else _shown(padding[0] if padding[0] == padding[1] else padding)


def _shown_map(step: Step) -> str:
    chain = []
    while step.inputs:
        chain.append(str(step))
        step = step.inputs[0]
    return " after ".join(chain) or "nothing"

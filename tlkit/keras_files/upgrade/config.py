"""Rewrite the model config of any Keras file as Keras 3 writes its own.

Layers are upgraded one by one in :mod:`tlkit.keras_files.upgrade.layers` and connections in
:mod:`tlkit.keras_files.upgrade.connections`; here is what concerns a model: names, the input of a
Sequential, models inside models, objects inside layers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tlkit.errors import ModelError
from tlkit.keras_files.upgrade import allowlist
from tlkit.keras_files.upgrade.argument_tables import ORDERINGS
from tlkit.keras_files.upgrade.connections import Nodes
from tlkit.keras_files.upgrade.layers import Layer, refusal, upgrade_layer
from tlkit.utils.text import pluralize

_KERAS_1_KEYS = frozenset({"dim_ordering", "border_mode", "nb_filter", "input_dtype", "W_regularizer"})
_PARTS = {
    "keras.regularizers": allowlist.REGULARIZERS,
    "keras.constraints": allowlist.CONSTRAINTS,
}


@dataclass(frozen=True)
class UpgradedConfig:
    """A config that Keras 3 builds.

    Attributes:
        config: New; the given one is unchanged. Every object in it names the Keras 3 module it comes from.
        renamed: Old name of a layer or model to its new one, where it had to change.
        upgrades: What was done, one line each, such as ``DepthwiseConv2D: groups dropped (12 layers)``.
    """

    config: dict[str, Any]
    renamed: dict[str, str]
    upgrades: tuple[str, ...]


def upgrade_config(config: dict[str, Any], *, keras_version: str | None) -> UpgradedConfig:
    """Rewrite a model config of Keras 1, 2 or 3 as Keras 3 writes one.

    Args:
        config: A parsed model config in which ``config_problems`` found nothing. It is not changed.
        keras_version: As recorded in the file (``1.2.2``, ``2.2.4-tf``, ``3.15.1``); None to detect it from the config.

    Returns:
        The config, the names that changed and what was done. Compile settings are left out.

    Raises:
        ModelError: A layer that Keras 3 cannot rebuild, or would rebuild with other numbers.
    """
    config = _without_initializers(config)
    upgrade = _Upgrade(config, keras_version)
    new = upgrade.layer(config)
    lines = [f"{line} ({pluralize(count, 'layer')})" for line, count in upgrade.notes.items()]
    if upgrade.renamed:
        lines.append(f"/ in names became _ ({pluralize(len(upgrade.renamed), 'name')})")
    return UpgradedConfig(new, upgrade.renamed, tuple(lines))


def layer_upgrader(config: Any, *, keras_version: str | None) -> Callable[[dict[str, Any]], dict[str, Any] | None]:
    """Return a function that upgrades one layer of a model; it gives None for code, and for what Keras 3 has not.

    Args:
        config: The parsed config of the whole model, which nothing has checked.
        keras_version: As recorded in the file; None to detect it.
    """
    upgrade = _Upgrade(config, keras_version)

    def upgraded(entry: dict[str, Any]) -> dict[str, Any] | None:
        try:
            new = upgrade.layer({key: value for key, value in entry.items() if key != "shared_object_id"})
        except ModelError:
            return None
        return new if isinstance(new["config"], dict) and allowlist.layer_module(new["class_name"]) else None

    return upgraded


class _Upgrade:
    """One upgrade: what is known about the whole model, and what was done so far."""

    def __init__(self, config: dict[str, Any], version: str | None) -> None:
        self.version = version
        self.keras = _major(config, version)
        self.ordering = _ordering(config)
        self.renamed = _new_names(config)
        self.notes: Counter[str] = Counter()
        self.shared: set[Any] = set()

    def layer(self, entry: dict[str, Any]) -> dict[str, Any]:
        """Upgrade a layer, model or operation, without its connections."""
        try:
            return self._layer(entry)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            raise refusal(_name(entry), entry["class_name"], "its config is damaged") from error

    def _layer(self, entry: dict[str, Any]) -> dict[str, Any]:
        class_name = entry["class_name"]
        if class_name == "Sequential":
            return self._sequential(entry)
        if class_name in allowlist.MODELS:
            return self._functional(entry)
        if class_name in allowlist.TRANSLATED_OP_LAYERS:
            return self._tensorflow_op(entry)
        shared = entry.get("shared_object_id")
        if shared in self.shared and class_name != "InputLayer":
            # Each place has its weights in the file, so inference is the same; only training would tell.
            self._note(f"{class_name}: shared by models, now one in each of them")
        self.shared |= {shared} - {None}
        config = {key: self._value(value) for key, value in entry["config"].items()}
        config["name"] = self._rename(_name(entry))
        if class_name in allowlist.OPERATIONS.get(entry.get("module", ""), ()):
            return _object(class_name, config, entry["module"])
        layer = Layer(class_name, config, self.keras, self.version, self.ordering, self._note)
        upgrade_layer(layer)
        # Once more: a regularizer that was upgraded has no module yet.
        config = {key: self._value(value) for key, value in layer.config.items()}
        return _object(layer.class_name, config, allowlist.layer_module(layer.class_name))

    def _value(self, value: Any) -> Any:
        """Upgrade a value of a layer's config, with the objects in it."""
        if isinstance(value, list | tuple):
            return [self._value(item) for item in value]
        if not isinstance(value, dict):
            return value
        if set(value) == {"type", "value"} and value["type"] == "ndarray":  # Keras 2.2 wrote 6.0 like this
            return value["value"]
        class_name = value.get("class_name")
        if class_name is None or "config" not in value:
            return {key: self._value(item) for key, item in value.items()}
        if class_name == "function":
            return value["config"]
        if class_name in allowlist.POLICIES | allowlist.OLD_POLICIES:
            return value["config"]["name"]
        if class_name in allowlist.MARKERS:
            return {"class_name": class_name, "config": self._value(value["config"])}
        if class_name in allowlist.LAYERS | allowlist.OLD_LAYERS | allowlist.MODELS:
            return self.layer(value)
        module = next((module for module, names in _PARTS.items() if class_name in names), None)
        return _object(class_name, self._value(value["config"]), module) if module else value

    def _sequential(self, entry: dict[str, Any]) -> dict[str, Any]:
        config = entry["config"]
        if isinstance(config, list):  # Keras wrote the bare list of layers until 2.2.3
            config = {"layers": config}
            self._note("Sequential: list of layers became a config")
        layers = [self.layer(layer) for layer in config["layers"]]
        shape = _first_shape(config["layers"])
        new: dict[str, Any] = {"name": self._rename(_name(entry))}
        if shape and layers[0]["class_name"] not in allowlist.MODELS | {"InputLayer"}:
            name = layers[0]["config"]["name"]
            inputs = {"batch_shape": shape, "name": f"{name}_input" if name else None}
            layers.insert(0, _object("InputLayer", inputs, "keras.layers"))
            self._note("Sequential: an InputLayer put first")
        elif config.get("build_input_shape"):
            new["build_input_shape"] = config["build_input_shape"]
        return _object("Sequential", {**new, "layers": layers}, "keras")

    def _functional(self, entry: dict[str, Any]) -> dict[str, Any]:
        config = entry["config"]
        entries = config["layers"]
        nodes = Nodes(
            self.keras,
            {item["name"]: self._first_call(item) for item in entries},
            frozenset(item["name"] for item in entries if item["class_name"] == "Sequential"),
            self._rename,
        )
        layers = []
        for item in entries:
            layer = self.layer(item)
            layer["name"] = self._rename(item["name"])
            layer["inbound_nodes"] = [nodes.call(node, item, layer) for node in item["inbound_nodes"]]
            layers.append(layer)
        new = {
            "name": self._rename(_name(entry)),
            "trainable": config.get("trainable", True),
            "layers": layers,
            "input_layers": nodes.ends(config["input_layers"]),
            "output_layers": nodes.ends(config["output_layers"]),
        }
        return _object("Functional", new, "keras.src.models.functional")

    def _first_call(self, entry: dict[str, Any]) -> int:
        if self.keras >= 3 or entry["class_name"] not in allowlist.MODELS:
            return 0
        # TensorFlow counted a call of its own only for a Sequential that knew its input.
        return int(entry["class_name"] != "Sequential" or _first_shape([entry]) is not None)

    def _tensorflow_op(self, entry: dict[str, Any]) -> dict[str, Any]:
        function = entry["config"]["function"]
        class_name, _ = allowlist.TRANSLATED_OPS[function]
        self._note(f"tf.{function}: became the operation {class_name}")
        return _object(class_name, {"name": self._rename(_name(entry))}, allowlist.operations_module(class_name))

    def _rename(self, name: Any) -> Any:
        return self.renamed.get(name, name) if isinstance(name, str) else name

    def _note(self, line: str) -> None:
        self.notes[line] += 1


def _without_initializers(value: Any) -> Any:
    """Return a copy of a config without what config_problems passes over; Keras has a default in every layer."""
    if isinstance(value, dict):
        return {key: _without_initializers(item) for key, item in value.items() if not allowlist.is_initializer(key)}
    return [_without_initializers(item) for item in value] if isinstance(value, list) else value


def _object(class_name: str, config: Any, module: str | None) -> dict[str, Any]:
    return {"module": module, "class_name": class_name, "config": config, "registered_name": None}


def _name(entry: dict[str, Any]) -> Any:
    config = entry.get("config")
    return (config.get("name") if isinstance(config, dict) else None) or entry.get("name")


def _first_shape(layers: list[dict[str, Any]]) -> Any:
    """Return the input shape, with its batch, of the first of some layers; None if it has none."""
    while layers:
        config = layers[0]["config"]
        inner = config if isinstance(config, list) else config.get("layers")
        if inner is None:
            return config.get("batch_input_shape") or config.get("batch_shape")
        layers = inner
    return None


def _major(config: dict[str, Any], version: str | None) -> int:
    """Return the major version of the Keras that wrote the config."""
    number = (version or "").split(".")[0]
    if number.isdigit():
        return int(number)
    keys = {key for item in _dicts(config) for key in item}
    if keys & _KERAS_1_KEYS:
        return 1
    return 3 if "batch_shape" in keys and "batch_input_shape" not in keys else 2


def _ordering(config: dict[str, Any]) -> str | None:
    """Return the image data format of the layers that have one; None if they differ or none has one."""
    recorded = {str(item.get(key)) for item in _dicts(config) for key in ("dim_ordering", "data_format")}
    formats = {ORDERINGS.get(name, name) for name in recorded} & {"channels_first", "channels_last"}
    return formats.pop() if len(formats) == 1 else None


def _new_names(config: dict[str, Any]) -> dict[str, str]:
    """Return new, unique names for those with a ``/``, which Keras 3 does not allow."""
    names = dict.fromkeys(
        item["name"]
        for entry in _dicts(config)
        if "class_name" in entry
        for item in (entry, entry.get("config"))
        if isinstance(item, dict) and isinstance(item.get("name"), str)
    )
    taken, renamed = set(names), {}
    for name in names:
        if "/" in name:
            plain = new = name.replace("/", "_")
            number = 1
            while new in taken:
                new, number = f"{plain}_{number}", number + 1
            taken.add(new)
            renamed[name] = new
    return renamed


def _dicts(config: Any) -> Iterator[dict[str, Any]]:
    stack = [config]
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            yield value
            stack += reversed(value.values())
        elif isinstance(value, list):
            stack += reversed(value)

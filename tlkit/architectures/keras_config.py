"""The configuration of an architecture, as Keras has it in a file, from its table: no model is built."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tlkit.architectures.architecture import Architecture
from tlkit.architectures.layer_tables import LayerInfo, Shape, layers_of, operations_of

Config = dict[str, Any]
Roles = Mapping[str, Shape]

_MODULES = {
    "LayerScale": "keras.src.applications.convnext",
    "CustomScaleLayer": "keras.src.applications.inception_resnet_v2",
    "Sequential": "keras",
}
"""Modules of layers that are no names of ``keras.layers``."""

_DOWNSAMPLING = ("efficientnetb", "mobilenetv2", "mobilenetv3", "nasnet")
"""Architectures that pad in front of a convolution of stride 2 by whether the map is even: by ``correct_pad`` of
``keras/src/applications/imagenet_utils.py``. Tables have the padding of the default size."""


def network_config(architecture: Architecture, *, include_top: bool) -> Config:
    """Return what an architecture computes as a functional model of Keras, for any input size.

    Args:
        architecture: It has a table.
        include_top: With the ImageNet classifier or without.
    """
    rows = [*layers_of(architecture, include_top=include_top), *operations_of(architecture)]
    taken = {name for row in rows for name in row.inputs}
    return functional(
        architecture.name,
        [_entry(row, architecture) for row in rows],
        [row.name for row in rows if row.kind == "InputLayer"],
        [row.name for row in rows if row.name not in taken and row.part != "operation"],
    )


def at_size(config: Config, shapes: Mapping[str, Shape], *, trainable: bool = True) -> Config:
    """Return a functional model for one input size, as Keras loads it.

    Args:
        config: Of :func:`network_config` or :func:`functional`.
        shapes: Of the output of each of its layers and operations for one image, by name.
        trainable: Whether its layers train.
    """
    entries = []
    for entry in config["config"]["layers"]:
        settings = dict(entry["config"])
        nodes = [{**node, "args": _shaped(node["args"], shapes)} for node in entry["inbound_nodes"]]
        if entry["class_name"] == "InputLayer":
            settings["batch_shape"] = [None, *shapes[entry["name"]]]
        elif not entry["module"].startswith("keras.src.ops."):
            settings["trainable"] = trainable and settings.get("trainable", True)
            if "layers" in settings:  # a model inside, such as the stem of ConvNeXt
                settings["layers"] = [_set_trainable(inner, trainable) for inner in settings["layers"]]
        if "downsampling" in settings:
            before = entry["inbound_nodes"][0]["args"][0]["config"]["keras_history"][0]
            sides = zip(settings.pop("downsampling"), shapes[before], strict=False)
            settings["padding"] = [[behind - 1 + side % 2, behind] for behind, side in sides]
        entries.append({**entry, "config": settings, "inbound_nodes": nodes})
    return {**config, "config": {**config["config"], "trainable": trainable, "layers": entries}}


def _set_trainable(entry: Config, trainable: bool) -> Config:
    settings = dict(entry["config"])
    if entry["class_name"] != "InputLayer" and not entry["module"].startswith("keras.src.ops."):
        settings["trainable"] = trainable and settings.get("trainable", True)
    if "layers" in settings:
        settings["layers"] = [_set_trainable(inner, trainable) for inner in settings["layers"]]
    return {**entry, "config": settings}


def _shaped(argument: Any, shapes: Mapping[str, Shape]) -> Any:
    """Return the arguments of a call with the shapes of tensors, which Keras wants in a file."""
    if isinstance(argument, list):
        return [_shaped(item, shapes) for item in argument]
    if not isinstance(argument, dict):
        return argument
    history = argument["config"]["keras_history"]
    config = {"shape": [None, *shapes[history[0]]], "dtype": "float32", "keras_history": history}
    return {"class_name": "__keras_tensor__", "config": config}


def functional(name: str, layers: Sequence[Config], inputs: Sequence[str], outputs: Sequence[str]) -> Config:
    """Return a functional model as Keras has it in a file.

    Args:
        name: Name of the model.
        layers: Its layers, of :func:`layer`.
        inputs: Names of its inputs.
        outputs: Names of the layers that output what it does.
    """
    config = {
        "name": name,
        "layers": list(layers),
        "input_layers": _references(inputs),
        "output_layers": _references(outputs),
    }
    return {
        "module": "keras.src.models.functional", "class_name": "Functional", "registered_name": "Functional",
        "name": name, "config": config, "build_config": {"input_shape": None},
    }  # fmt: skip


def _references(names: Sequence[str]) -> list[Any]:
    found: list[Any] = [[name, 0, 0] for name in names]
    return found[0] if len(found) == 1 else found


def layer(kind: str, config: Config, inputs: Sequence[str] = (), *, module: str = "keras.layers") -> Config:
    """Return a layer of a functional model as Keras has it in a file.

    Args:
        kind: Its class.
        config: Its settings, with its name.
        inputs: Names of the layers that it is called on; none for an input.
        module: Where Keras finds the class.
    """
    return {
        "module": module, "class_name": kind, "registered_name": kind if module.startswith("keras.src.") else None,
        "name": config["name"], "config": config,
        "inbound_nodes": [{"args": tensors(inputs), "kwargs": {}}] if inputs else [],
    }  # fmt: skip


def tensors(names: Sequence[str]) -> list[Any]:
    """Return the arguments of a call on the outputs of layers."""
    arguments = [{"class_name": "__keras_tensor__", "config": {"keras_history": [name, 0, 0]}} for name in names]
    return arguments if len(arguments) == 1 else [arguments]


def _entry(row: LayerInfo, architecture: Architecture) -> Config:
    if row.part == "operation":
        entry = layer(row.kind, {"name": row.name}, row.inputs, module="keras.src.ops.numpy")
        arguments = [argument for name in row.inputs for argument in tensors([name])]
        for position, value in row.options.get("constants", ()):
            arguments.insert(position, value)
        entry["inbound_nodes"] = [{"args": arguments, "kwargs": {}}]
        return entry
    config: Config = {"name": row.name}
    if row.kind == "InputLayer":
        config["batch_shape"] = (None, *row.shape)
    elif row.kind == "Sequential":
        config["layers"] = _inner_layers(row)
    else:
        config |= {**_REQUIRED.get(row.kind, {}), **row.options, **_of_shape(row, architecture)}
        config |= _of_weights(row.kind, dict(row.weights))
        if row.groups > 1:
            config["groups"] = row.groups
    return layer(row.kind, config, row.inputs, module=_MODULES.get(row.kind, "keras.layers"))


_REQUIRED: dict[str, Config] = {"Activation": {"activation": "linear"}}
"""Settings that tables leave out as defaults, and Keras does not."""


def _inner_layers(row: LayerInfo) -> list[Config]:
    """Return the layers of a model inside: their settings, and what the weights of each tell."""
    entries = []
    for inner in row.options["layers"]:
        kind, config = inner["class_name"], inner["config"]
        own = {name.rpartition("/")[2]: shape for name, shape in row.weights if name.startswith(f"{config['name']}/")}
        entries.append(layer(kind, {**config, **_of_weights(kind, own)}))
    return entries


def _of_shape(row: LayerInfo, architecture: Architecture) -> Config:
    """Return what a layer computes that depends on the input size, or that the table leaves to the shape."""
    if row.kind.startswith("Global"):
        return {"keepdims": len(row.shape) > 1}
    is_named = not row.name.startswith("zero_padding2d")
    if row.kind == "ZeroPadding2D" and is_named and architecture.name.startswith(_DOWNSAMPLING):
        return {"downsampling": [behind for _, behind in row.options["padding"]]}
    return {}


def _bias(weights: Roles) -> Config:
    return {"use_bias": "bias" in weights}


def _scale_and_offset(weights: Roles) -> Config:
    return {"scale": "gamma" in weights, "center": "beta" in weights}


_OF_WEIGHTS: dict[str, Callable[[Roles], Config]] = {
    "Conv2D": lambda weights: {"filters": weights["kernel"][-1], **_bias(weights)},
    "DepthwiseConv2D": lambda weights: {"depth_multiplier": weights["kernel"][-1], **_bias(weights)},
    "SeparableConv2D": lambda weights: {
        "filters": weights["pointwise_kernel"][-1],
        "depth_multiplier": weights["depthwise_kernel"][-1],
        **_bias(weights),
    },
    "Dense": lambda weights: {"units": weights["kernel"][-1], **_bias(weights)},
    "GRU": lambda weights: {"units": weights["recurrent_kernel"][0], **_bias(weights)},
    "BatchNormalization": _scale_and_offset,
    "LayerNormalization": _scale_and_offset,
}
"""Settings that tables leave to the shapes of the weights."""


def _of_weights(kind: str, weights: Roles) -> Config:
    return _OF_WEIGHTS[kind](weights) if kind in _OF_WEIGHTS else {}

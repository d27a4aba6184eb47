"""Writes one small network the way each generation of Keras wrote its weights or whole models, with h5py alone.

A network is given in today's terms: kernels HWIO, channels last, the variance of a BatchNormalization. A writer turns
it into what the Keras of its time had in memory. What comes out was compared with files of the real writers where they
still run (tf_keras 2.21, the saving code of Keras 2.12 to 2.15, Keras 3.15), else with the sources (0.3.3, 1.2.2,
2.2.4).
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import h5py
import numpy as np


@dataclass(frozen=True, eq=False)
class Layer:
    """A layer of today's Keras: its class, the arguments that are not defaults, its arrays in today's order."""

    name: str
    kind: str
    weights: dict[str, np.ndarray] = field(default_factory=dict)
    config: dict = field(default_factory=dict)


Network = tuple[Layer, ...]


def pair(value) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else tuple(value)


def same_padding(size: int, window: int, stride: int) -> tuple[int, int]:
    """The rows TensorFlow adds before and after for "same"."""
    total = max((-(-size // stride) - 1) * stride + window - size, 0)
    return total // 2, total - total // 2


def output_shapes(network: Network) -> list[tuple[int, ...]]:
    """The shape of each layer's output for one image."""
    shapes: list[tuple[int, ...]] = []
    for layer in network:
        shapes.append(_output_shape(layer, shapes[-1] if shapes else ()))
    return shapes


def _output_shape(layer: Layer, shape: tuple[int, ...]) -> tuple[int, ...]:
    config = layer.config
    match layer.kind:
        case "InputLayer":
            return tuple(config["shape"])
        case "ZeroPadding2D":
            (top, bottom), (left, right) = config["padding"]
            return shape[0] + top + bottom, shape[1] + left + right, shape[2]
        case "Conv2D" | "DepthwiseConv2D" | "MaxPooling2D":
            window = pair(config["pool_size"] if layer.kind == "MaxPooling2D" else config["kernel_size"])
            strides = pair(config.get("strides") or (window if layer.kind == "MaxPooling2D" else 1))
            width = config["filters"] if layer.kind == "Conv2D" else shape[2] * config.get("depth_multiplier", 1)
            same = config.get("padding", "valid") == "same"
            high, wide = (
                -(-size // stride) if same else (size - span) // stride + 1
                for size, span, stride in zip(shape, window, strides, strict=False)
            )
            return high, wide, width
        case "Flatten":
            return (int(np.prod(shape)),)
        case "GlobalAveragePooling2D":
            return (shape[2],)
        case "Dense":
            return (config["units"],)
    return shape


# -- the writers -------------------------------------------------------------------------------------------------------


def write_nb_layers(
    path, network: Network, *, layout: str = "th", flip: bool = False, spread: str = "deviation"
) -> Path:
    """Weights of a Sequential of Keras 0.3: numbered groups of numbered arrays, nothing named.

    That BatchNormalization kept a running standard deviation and added 1e-6 to it; with ``spread="variance"``
    the file has variances, as those of Keras 1 do.
    """
    with h5py.File(path, "w") as file:
        layers = [layer for layer in _laid_out(network, layout, flip) if layer.kind != "InputLayer"]
        file.attrs["nb_layers"] = len(layers)
        for number, layer in enumerate(layers):
            group = file.create_group(f"layer_{number}")
            arrays = dict(layer.weights)
            if "moving_variance" in arrays and spread == "deviation":
                arrays["moving_variance"] = np.sqrt(arrays["moving_variance"] + layer.config["epsilon"]) - np.float32(
                    1e-6
                )
            group.attrs["nb_params"] = len(arrays)
            for index, array in enumerate(arrays.values()):
                group.create_dataset(f"param_{index}", data=array)
    return Path(path)


def write_keras1(
    path,
    network: Network,
    *,
    layout: str = "tf",
    flip: bool = False,
    backend: str = "tensorflow",
    sequential: bool = False,
) -> Path:
    """Weights of Keras 1.2: names of layers and arrays, but neither backend nor version."""
    with h5py.File(path, "w") as file:
        _put_keras1(file, _Model("model_1", _laid_out(network, layout, flip), sequential), backend)
    return Path(path)


def write_full_keras1(
    path,
    network: Network,
    *,
    layout: str = "tf",
    flip: bool = False,
    backend: str = "tensorflow",
    sequential: bool = True,
) -> Path:
    """A whole model of Keras 1.2.2, compiled with SGD."""
    model = _Model("sequential_1" if sequential else "model_1", _laid_out(network, layout, flip), sequential)
    colon = ":0" if backend == "tensorflow" else ""
    config = {"class_name": "Sequential" if sequential else "Model", "config": _keras1_model(model, layout)}
    training = {
        "optimizer_config": {
            "class_name": "SGD",
            "config": {"lr": 0.01, "momentum": 0.9, "decay": 0.0, "nesterov": False},
        },
        "loss": "categorical_crossentropy",
        "metrics": ["accuracy"],
        "sample_weight_mode": None,
        "loss_weights": None,
    }
    trained = [array for _, key, array in _in_order(model, ()) if not key.startswith("moving_")]
    # The scalars of the optimizer take the names `Variable` to `Variable_3`; only the first of them is a weight of it.
    names = [f"Variable{colon}"] + [f"Variable_{4 + number}{colon}" for number in range(len(trained))]
    if backend != "tensorflow":
        names = [f"param_{number}" for number in range(len(names))]
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"] = np.bytes_("1.2.2")
        file.attrs["model_config"] = np.bytes_(json.dumps(config))
        file.attrs["training_config"] = np.bytes_(json.dumps(training))
        _put_keras1(file.create_group("model_weights"), model, backend)
        group = file.create_group("optimizer_weights")
        _put_arrays(group, names, [np.float32(3)] + [array * np.float32(0.1) for array in trained], fixed=True)
    return Path(path)


def write_keras2(
    path,
    network: Network,
    *,
    backend: str = "tensorflow",
    version: str = "2.4.0",
    sequential: bool = False,
    nested: str | None = None,
    inner: int | None = None,
    frozen: tuple[str, ...] = (),
    split: int = 1,
) -> Path:
    """Weights of Keras 2.

    Args:
        path: Where to.
        network: What.
        backend: "theano" stores the kernels of Conv2D flipped, and names without ":0".
        version: As in the file; before 2.5 names are of fixed length, before 2.8 no group is for top-level weights.
        sequential: Leaves out the input layer, as a Sequential did.
        nested: Puts the first layers into one inner model of this name.
        inner: How many layers that is, with the input; up to the first Flatten or GlobalAveragePooling2D by default.
        frozen: Layers saved with ``trainable=False``; the name of the inner model stands for all of its layers.
        split: Into how many attributes the lists of names are split, as those too long for one are.
    """
    model = _tree(_for_backend(network, backend, version), "model", sequential, nested, inner)
    with h5py.File(path, "w") as file:
        _put_keras2(file, model, backend, version, frozen, split)
    return Path(path)


def write_full_keras2(
    path,
    network: Network,
    *,
    backend: str = "tensorflow",
    version: str = "2.4.0",
    sequential: bool = False,
    nested: str | None = None,
    inner: int | None = None,
    frozen: tuple[str, ...] = (),
    split: int = 1,
) -> Path:
    """A whole model of Keras 2, compiled with Adam; the arguments are those of ``write_keras2``."""
    model = _tree(_for_backend(network, backend, version), "model", sequential, nested, inner)
    style = _style(version)
    kind = "Sequential" if sequential else "Model" if style == "classic" else "Functional"
    config = {"class_name": kind, "config": _model_config(model, style, frozen, version)}
    fixed = _number(version) < (2, 5)
    entries = [entry for entry in _in_order(model, frozen) if _trains(*entry[:2], model, frozen)]
    with h5py.File(path, "w") as file:
        _put_text(file, "backend", backend, fixed)
        _put_text(file, "keras_version", version, fixed)
        _put_text(file, "model_config", json.dumps(config), fixed)
        _put_text(file, "training_config", json.dumps(_TRAINING[style]), fixed)
        _put_keras2(file.create_group("model_weights"), model, backend, version, frozen, split)
        _put_adam(file.create_group("optimizer_weights"), entries, style, fixed, split)
    return Path(path)


def write_full_keras3h5(
    path,
    network: Network,
    *,
    version: str = "3.15.1",
    sequential: bool = False,
    nested: str | None = None,
    inner: int | None = None,
    frozen: tuple[str, ...] = (),
    split: int = 1,
) -> Path:
    """A whole model as Keras 3 still writes it into a ``.h5``; of the other arguments see ``write_keras2``."""
    model = _tree(network, "model", sequential, nested, inner)
    config = {
        "class_name": "Sequential" if sequential else "Functional",
        "config": _model_config(model, "3", frozen, version),
    }
    entries = [entry for entry in _in_order(model, frozen) if _trains(*entry[:2], model, frozen)]
    with h5py.File(path, "w") as file:
        _put_text(file, "backend", "tensorflow")
        _put_text(file, "keras_version", version)
        _put_text(file, "model_config", json.dumps(config))
        _put_text(file, "training_config", json.dumps(_TRAINING["3"]))
        group = file.create_group("model_weights")
        _put_names(group, "layer_names", [member.name for member in model.visible], split=split)
        _put_text(group, "backend", "tensorflow")
        _put_text(group, "keras_version", version)
        for member in model.visible:
            stored = list(_in_order(member, frozen))
            names = [_path3(model, layer, key) for layer, key, _ in stored]
            _put_arrays(group.create_group(member.name), names, [array for *_, array in stored], split=split)
        _put_arrays(group.create_group("top_level_model_weights"), [], [])
        group = file.create_group("optimizer_weights")
        names, arrays = ["adam/iteration", "adam/learning_rate"], [np.int64(3), np.float32(0.001)]
        for layer, key, array in entries:
            for slot in ("momentum", "velocity"):
                names.append(f"adam/{_path3(model, layer, key).replace('/', '_')}_{slot}")
                arrays.append(array * np.float32(0.1))
        _put_arrays(group, names, arrays, split=split)
    return Path(path)


def write_keras3_weights(
    path,
    network: Network,
    *,
    names: bool = True,
    empty: bool = True,
    optimizer: bool = False,
    sequential: bool = False,
    nested: str | None = None,
    inner: int | None = None,
) -> Path:
    """Weights as Keras 3 writes them, a ``.weights.h5``.

    Args:
        path: Where to.
        network: What.
        names: An attribute ``name`` on every group ``vars``; Keras 3.0 to 3.5 wrote none.
        empty: A group ``vars`` for what has no arrays, too.
        optimizer: Adds those of an Adam.
        sequential: Leaves out the input layer.
        nested: Puts the first layers into one inner model of this name.
        inner: How many layers that is; see ``write_keras2``.
    """
    with h5py.File(path, "w") as file:
        _put_vars(file, _tree(network, "model", sequential, nested, inner), names=names, empty=empty)
        if optimizer:
            _put_optimizer_vars(file, network, named=names)
    return Path(path)


def write_tf_keras_weights(
    path,
    network: Network,
    *,
    version: str = "2.13.1",
    optimizer: bool = False,
    sequential: bool = False,
    nested: str | None = None,
    inner: int | None = None,
) -> Path:
    """The ``.weights.h5`` of Keras 2.12 to 2.15.

    Up to 2.14 the folder is ``_layer_checkpoint_dependencies``. Up to 2.13 a layer with weights is counted twice, so
    that the second Dense is ``dense_2``, while the second Flatten is ``flatten_1``.
    """
    number = _number(version)
    folder = "layers" if number >= (2, 15) else "_layer_checkpoint_dependencies"
    with h5py.File(path, "w") as file:
        model = _tree(network, "model", sequential, nested, inner)
        _put_vars(file, model, folder=folder, names=False, empty=True, twice=number < (2, 14))
        if optimizer:
            _put_optimizer_vars(file, network, rate=False)
            for name in ("mean", "mean_metric_wrapper"):
                group = file.create_group(f"metrics/{name}/vars")
                group["0"], group["1"] = np.float32(1), np.float32(1)
    return Path(path)


def write_keras_archive(
    path,
    network: Network,
    *,
    deflate: bool = False,
    version: str = "3.15.1",
    names: bool = True,
    sequential: bool = False,
    nested: str | None = None,
    inner: int | None = None,
) -> Path:
    """A ``.keras`` of a model that was not compiled. Keras compresses none of its three members; ``deflate`` does."""
    model = _tree(network, "model", sequential, nested, inner)
    config = _archived(model, "3k", _model_config(model, "3k", (), version))
    weights = io.BytesIO()
    with h5py.File(weights, "w") as file:
        _put_vars(file, model, names=names, empty=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED if deflate else zipfile.ZIP_STORED) as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": version, "date_saved": "2024-02-29@12:00:00"}))
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("model.weights.h5", weights.getvalue())
    return Path(path)


# -- layout ------------------------------------------------------------------------------------------------------------


def _laid_out(network: Network, layout: str, flip: bool) -> Network:
    """The network with its arrays as Keras 0 and 1 had them in memory."""
    assert layout in ("th", "tf"), layout
    shapes = output_shapes(network)
    result = []
    flattened = None
    for index, layer in enumerate(network):
        if layer.kind == "DepthwiseConv2D" or layer.config.get("groups", 1) > 1:
            raise ValueError(f"no Keras of that time had {layer.kind} or groups")
        if layer.kind == "Flatten":
            flattened = shapes[index - 1]
        weights = dict(layer.weights)
        if layer.kind == "Conv2D":
            weights["kernel"] = weights["kernel"][::-1, ::-1] if flip else weights["kernel"]
            if layout == "th":
                weights["kernel"] = weights["kernel"].transpose(3, 2, 0, 1)
        if layer.kind == "Dense":
            if layout == "th" and flattened:
                rows = weights["kernel"].reshape(*flattened, -1)
                weights["kernel"] = rows.transpose(2, 0, 1, 3).reshape(weights["kernel"].shape)
            flattened = None
        result.append(replace(layer, weights=weights))
    return tuple(result)


def _for_backend(network: Network, backend: str, version: str) -> Network:
    """Theano convolved with the kernel turned round; Keras 2 stored it as HWIO whatever the backend."""
    if _style(version) == "classic" and any(layer.config.get("groups", 1) > 1 for layer in network):
        raise ValueError("Keras had no groups before 2.4")
    if backend != "theano":
        return network
    if any(layer.kind == "DepthwiseConv2D" for layer in network) and _number(version) < (2, 3):
        raise ValueError("before 2.3, which turns its kernels as it computes, Theano had no DepthwiseConv2D")
    return tuple(
        replace(layer, weights={**layer.weights, "kernel": layer.weights["kernel"][::-1, ::-1]})
        if layer.kind == "Conv2D"
        else layer
        for layer in network
    )


# -- models in models --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Model:
    name: str
    members: tuple[Layer | _Model, ...]
    sequential: bool = False

    @property
    def kind(self) -> str:
        return "Sequential" if self.sequential else "Functional"

    @property
    def visible(self) -> tuple[Layer | _Model, ...]:
        """What Keras lists as the layers of it."""
        return tuple(member for member in self.members if not (self.sequential and member.kind == "InputLayer"))


def _tree(network: Network, name: str, sequential: bool, nested: str | None, inner: int | None) -> _Model:
    if nested is None:
        return _Model(name, network, sequential)
    if inner is None:
        inner = next(
            index for index, layer in enumerate(network) if layer.kind in ("Flatten", "GlobalAveragePooling2D")
        )
    entry = replace(network[0], name=f"{nested}_input")
    return _Model(name, (entry, _Model(nested, network[:inner]), *network[inner:]), sequential)


def _layers(member: Layer | _Model) -> Iterator[tuple[Layer, tuple[str, ...]]]:
    """Every layer in it, with the names of it and of what it is in."""
    if isinstance(member, Layer):
        yield member, (member.name,)
        return
    for part in member.members:
        for layer, names in _layers(part):
            yield layer, (member.name, *names)


def _in_order(member: Layer | _Model, frozen: tuple[str, ...]) -> Iterator[tuple[Layer, str, np.ndarray]]:
    """Arrays in the order of legacy files: of all layers what trains, then what does not; nothing frozen trains."""
    found = [(layer, names, key, array) for layer, names in _layers(member) for key, array in layer.weights.items()]
    for trains in (True, False):
        for layer, names, key, array in found:
            if trains != (key.startswith("moving_") or bool(set(names) & set(frozen))):
                yield layer, key, array


def _trains(layer: Layer, key: str, model: _Model, frozen: tuple[str, ...]) -> bool:
    build_trainable_top = next(set(names) for found, names in _layers(model) if found is layer)
    return not key.startswith("moving_") and not build_trainable_top & set(frozen)


def _shape_in(model: _Model, name: str) -> list:
    """The shape a member takes, with the batch in front."""
    network = tuple(layer for layer, _ in _layers(model))
    shapes = dict(zip((layer.name for layer in network), output_shapes(network), strict=True))
    before: tuple[int, ...] = ()
    for member in model.members:
        if member.name == name:
            return [None, *(before or shapes[next(_layers(member))[0].name])]
        before = shapes[[layer.name for layer, _ in _layers(member)][-1]]
    raise KeyError(name)


# -- groups of arrays and names ----------------------------------------------------------------------------------------


def _number(version: str) -> tuple[int, int]:
    major, minor, *_ = version.split(".")
    return int(major), int(minor)


def _put_text(group, name: str, text: str, fixed: bool = False) -> None:
    """h5py 2 stored bytes as a string of fixed length, h5py 3 as one of variable length."""
    group.attrs[name] = np.bytes_(text) if fixed else text


def _put_names(group, attribute: str, names: list[str], *, fixed: bool = False, split: int = 1) -> None:
    data = [name.encode() for name in names]
    if split > 1 and len(names) >= split:
        for number, piece in enumerate(np.array_split(np.asarray(data), split)):
            group.attrs[f"{attribute}{number}"] = piece
    elif not names:
        group.attrs[attribute] = np.asarray([])
    else:
        group.attrs[attribute] = np.asarray(data) if fixed else data


def _put_arrays(group, names: list[str], arrays: list, *, fixed: bool = False, split: int = 1) -> None:
    _put_names(group, "weight_names", names, fixed=fixed, split=split)
    for name, array in zip(names, arrays, strict=True):
        group.create_dataset(name, data=array)


_KERAS1_NAMES = {"kernel": "W", "bias": "b", "moving_mean": "running_mean", "moving_variance": "running_std"}


def _put_keras1(group, model: _Model, backend: str) -> None:
    colon = ":0" if backend == "tensorflow" else ""
    _put_names(group, "layer_names", [layer.name for layer in model.visible], fixed=True)
    for layer in model.visible:
        names = [f"{layer.name}_{_KERAS1_NAMES.get(key, key)}{colon}" for key in layer.weights]
        _put_arrays(group.create_group(layer.name), names, list(layer.weights.values()), fixed=True)


def _put_keras2(group, model: _Model, backend: str, version: str, frozen: tuple[str, ...], split: int) -> None:
    fixed = _number(version) < (2, 5)
    colon = ":0" if backend == "tensorflow" else ""
    _put_names(group, "layer_names", [member.name for member in model.visible], fixed=fixed, split=split)
    _put_text(group, "backend", backend, fixed)
    _put_text(group, "keras_version", version, fixed)
    for member in model.visible:
        stored = list(_in_order(member, frozen))
        names = [f"{_path2(layer, key)}{colon}" for layer, key, _ in stored]
        arrays = [array for *_, array in stored]
        _put_arrays(group.create_group(member.name), names, arrays, fixed=fixed, split=split)
    if _number(version) >= (2, 8):
        _put_arrays(group.create_group("top_level_model_weights"), [], [])


def _path2(layer: Layer, key: str) -> str:
    return f"{layer.name}/{'depthwise_' if layer.kind == 'DepthwiseConv2D' and key == 'kernel' else ''}{key}"


def _path3(model: _Model, layer: Layer, key: str) -> str:
    """The path of a variable: a Sequential puts its own name before those of the layers it builds."""
    prefix = f"{model.name}/" if model.sequential and layer in model.members else ""
    return f"{prefix}{layer.name}/{key}"


def _put_adam(group, entries: list, style: str, fixed: bool, split: int) -> None:
    paths = [(_path2(layer, key), array * np.float32(0.1)) for layer, key, array in entries]
    step = np.int64(3)
    if style == "classic":
        names = ["Adam/iterations:0"]
        names += [f"training/Adam/Variable{f'_{number}' if number else ''}:0" for number in range(2 * len(paths))]
        arrays = [step, *(array for _, array in paths), *(array for _, array in paths)]
    elif style == "tf":
        names = ["Adam/iter:0", *(f"Adam/{path}/{slot}:0" for slot in "mv" for path, _ in paths)]
        arrays = [step, *(array for _ in "mv" for _, array in paths)]
    else:
        names = ["iteration:0", *(f"Adam/{slot}/{path}:0" for path, _ in paths for slot in "mv")]
        arrays = [step, *(array for _, array in paths for _ in "mv")]
    _put_arrays(group, names, arrays, fixed=fixed, split=split)


def _snake(kind: str) -> str:
    spaced = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", kind)
    return re.sub("([a-z])([A-Z])", r"\1_\2", spaced).lower()


def _put_vars(group, model: _Model, *, folder: str = "layers", names: bool, empty: bool, twice: bool = False) -> None:
    """The arrays of a model and of all in it, under the names of their classes."""

    def place(member: Layer | _Model, where) -> None:
        arrays = list(member.weights.values()) if isinstance(member, Layer) else []
        if arrays or names or empty:
            inside = where.create_group("vars")
            if names:
                inside.attrs["name"] = member.name
            for number, array in enumerate(arrays):
                inside[str(number)] = array
        if isinstance(member, Layer):
            return
        used: dict[str, int] = {}
        for part in member.visible:
            kind = _snake(part.kind)
            used[kind] = used.get(kind, -1) + 1
            name = f"{kind}_{used[kind]}" if used[kind] else kind
            place(part, where.create_group(f"{folder}/{name}"))
            if twice and any(layer.weights for layer, _ in _layers(part)):
                used[kind] += 1

    place(model, group)


def _put_optimizer_vars(group, network: Network, *, named: bool = False, rate: bool = True) -> None:
    """Adam's: the step, in Keras 3 the learning rate, two arrays for each that trains."""
    inside = group.create_group("optimizer/vars")
    if named:
        inside.attrs["name"] = "adam"
    arrays = [np.int64(3), np.float32(0.001)] if rate else [np.int64(3)]
    for layer in network:
        for key, array in layer.weights.items():
            arrays += [] if key.startswith("moving_") else [array * np.float32(0.1)] * 2
    for number, array in enumerate(arrays):
        inside[str(number)] = array


# -- configurations ----------------------------------------------------------------------------------------------------


def _keras1_model(model: _Model, layout: str):
    shape = model.members[0].config["shape"]
    batch = [None, *(shape if layout == "tf" else (shape[2], *shape[:2]))]
    if model.sequential:
        layers = [{"class_name": _keras1_class(layer), "config": _keras1(layer, layout)} for layer in model.visible]
        layers[0]["config"] |= {"batch_input_shape": batch, "input_dtype": "float32"}
        return layers
    layers = []
    for before, layer in zip((None, *model.members), model.members, strict=False):
        config = _keras1(layer, layout)
        if layer.kind == "InputLayer":
            config = {"batch_input_shape": batch, "input_dtype": "float32", "sparse": False, "name": layer.name}
        layers.append(
            {
                "name": layer.name,
                "class_name": _keras1_class(layer),
                "config": config,
                "inbound_nodes": [[[before.name, 0, 0]]] if before else [],
            }
        )
    return {
        "name": model.name,
        "layers": layers,
        "input_layers": [[model.members[0].name, 0, 0]],
        "output_layers": [[model.members[-1].name, 0, 0]],
    }


def _keras1_class(layer: Layer) -> str:
    return "Convolution2D" if layer.kind == "Conv2D" else layer.kind


def _keras1(layer: Layer, layout: str) -> dict:
    config = layer.config
    result: dict = {"name": layer.name, "trainable": True}
    weighted = {
        "init": "glorot_uniform",
        "activation": config.get("activation", "linear"),
        "W_regularizer": None,
        "b_regularizer": None,
        "activity_regularizer": None,
        "W_constraint": None,
        "b_constraint": None,
        "bias": config.get("use_bias", True),
    }
    match layer.kind:
        case "ZeroPadding2D":
            (top, bottom), (left, right) = config["padding"]
            result["padding"] = [top, left] if (top, left) == (bottom, right) else [top, bottom, left, right]
        case "Conv2D":
            result |= weighted
            result |= dict(zip(("nb_row", "nb_col"), pair(config["kernel_size"]), strict=True))
            result |= {"nb_filter": config["filters"], "dim_ordering": layout}
            result |= {"subsample": list(pair(config.get("strides", 1))), "border_mode": config.get("padding", "valid")}
        case "BatchNormalization":
            result |= {"epsilon": config["epsilon"], "mode": 0, "axis": 1 if layout == "th" else -1, "momentum": 0.99}
            result |= {"gamma_regularizer": None, "beta_regularizer": None}
        case "MaxPooling2D":
            window = pair(config["pool_size"])
            result |= {"pool_size": list(window), "strides": list(pair(config.get("strides") or window))}
            result |= {"border_mode": config.get("padding", "valid"), "dim_ordering": layout}
        case "GlobalAveragePooling2D":
            result["dim_ordering"] = layout
        case "Dense":
            result |= weighted | {"output_dim": config["units"], "input_dim": len(layer.weights["kernel"])}
        case "Activation":
            result["activation"] = config["activation"]
        case "Dropout":
            result["p"] = config["rate"]
    return result


def _style(version: str) -> str:
    """Whose way of writing a configuration: Keras beside TensorFlow, Keras inside it, the last Keras 2, Keras 3."""
    number = _number(version)
    return "classic" if number < (2, 4) else "tf" if number < (2, 13) else "late"


def _model_config(model: _Model, style: str, frozen: tuple[str, ...], version: str, within: bool = False):
    """What ``get_config`` of the model gave. ``within``: it is inside a Sequential."""
    parts = []
    modern = style in ("3", "3k")
    for before, member in zip((None, *model.members), model.members, strict=False):
        if model.sequential and style == "classic" and member.kind == "InputLayer":
            continue
        kind = member.kind
        if isinstance(member, _Model):
            kind = "Model" if style == "classic" else kind
            inside = (*frozen, *(layer.name for layer, _ in _layers(member))) if member.name in frozen else frozen
            config = _model_config(member, style, inside, version, within=model.sequential)
        else:
            config = _layer_config(member, style, member.name not in frozen)
            if model.sequential and style == "classic" and not parts:
                config |= {"batch_input_shape": _shape_in(model, member.name), "dtype": "float32"}
        part = {"class_name": kind, "config": config}
        if style == "3k" or (style == "late" and within):
            part = _archived(member, style, config, shape=_shape_in(model, member.name))
        if not model.sequential:
            part |= {"name": member.name, "inbound_nodes": []}
            if before:
                part["inbound_nodes"] = [_node(model, before, member, modern)]
        parts.append(part)
    if model.sequential:
        if _number(version) < (2, 2):
            return parts
        result = {"name": model.name, "layers": parts}
        if modern:
            first = _shape_in(model, model.members[0].name)
            result |= {"trainable": True, "dtype": _dtype(style), "build_input_shape": first}
        return result
    ends = [[model.members[0].name, 0, 0], [model.members[-1].name, 0, 0]]
    result = {"name": model.name, "layers": parts}
    if style in ("late", "3", "3k"):
        result["trainable"] = model.name not in frozen
    return result | dict(
        zip(("input_layers", "output_layers"), ends if modern else [[end] for end in ends], strict=True)
    )


def _node(model: _Model, before: Layer | _Model, member: Layer | _Model, modern: bool):
    if not modern:
        # The model inside was called once when it was made and once more here.
        return [[before.name, int(isinstance(before, _Model)), 0, {}]]
    tensor = {"shape": _shape_in(model, member.name), "dtype": "float32", "keras_history": [before.name, 0, 0]}
    named = {"BatchNormalization": {"mask": None}, "Functional": {"mask": None}, "Dropout": {"training": False}}
    return {"args": [{"class_name": "__keras_tensor__", "config": tensor}], "kwargs": named.get(member.kind, {})}


def _archived(member: Layer | _Model, style: str, config: dict, shape: list | None = None) -> dict:
    """The form with module and registered name, of the archive and of a model in a Sequential of the last Keras 2."""
    result = {"module": "keras.layers", "class_name": member.kind, "config": config, "registered_name": None}
    if isinstance(member, _Model):
        functional = not member.sequential
        result["module"] = "keras.src.models.functional" if functional else "keras"
        result["registered_name"] = "Functional" if functional else None
        result["build_config"] = {"input_shape": None if functional else _shape_in(member, member.members[0].name)}
        return result | {"compile_config": {}}
    if member.kind != "InputLayer" and (style == "late" or member.kind not in _UNBUILT):
        result["build_config"] = {"input_shape": shape}
    return result


# Of these Keras 3 notes no shape: they have no `build` of their own.
_UNBUILT = ("MaxPooling2D", "GlobalAveragePooling2D", "Activation", "Dropout")


def _dtype(style: str):
    if style in ("3", "3k"):
        return {"module": "keras", "class_name": "DTypePolicy", "config": {"name": "float32"}, "registered_name": None}
    return "float32"


def _initializer(name: str, style: str) -> dict:
    config: dict = {"seed": None} if name == "GlorotUniform" else {}
    if style == "classic" and config:
        scaling = {"scale": 1.0, "mode": "fan_avg", "distribution": "uniform", "seed": None}
        return {"class_name": "VarianceScaling", "config": scaling}
    if style in ("classic", "tf"):
        return {"class_name": name, "config": config}
    if style in ("3", "3k") and config:
        config |= {"input_axes": None, "output_axes": None}
    return {"module": "keras.initializers", "class_name": name, "config": config, "registered_name": None}


def _layer_config(layer: Layer, style: str, trainable: bool) -> dict:
    config = layer.config
    modern = style in ("3", "3k")
    if layer.kind == "InputLayer":
        result = {"dtype": "float32", "sparse": False, "name": layer.name}
        result["batch_shape" if modern else "batch_input_shape"] = [None, *config["shape"]]
        result |= {} if style == "classic" else {"ragged": False}
        return result | ({"optional": False} if style in ("late", "3", "3k") else {})
    result = {"name": layer.name, "trainable": trainable}
    result |= {} if style == "classic" else {"dtype": _dtype(style)}
    ordering = {"data_format": "channels_last"}

    def weights(prefix: str) -> dict:
        return {
            "activation": config.get("activation", "linear"),
            "use_bias": config.get("use_bias", True),
            f"{prefix}_initializer": _initializer("GlorotUniform", style),
            "bias_initializer": _initializer("Zeros", style),
            **{f"{name}_{rule}": None for name in (prefix, "bias") for rule in ("regularizer", "constraint")},
            "activity_regularizer": None,
        }

    match layer.kind:
        case "ZeroPadding2D":
            result |= ordering | {"padding": [list(axis) for axis in config["padding"]]}
        case "Conv2D" | "DepthwiseConv2D":
            deep = layer.kind == "DepthwiseConv2D"
            result |= weights("depthwise" if deep else "kernel") | ordering
            result |= {
                "kernel_size": list(pair(config["kernel_size"])),
                "strides": list(pair(config.get("strides", 1))),
            }
            result |= {"padding": config.get("padding", "valid"), "dilation_rate": [1, 1]}
            result |= (
                {"depth_multiplier": config.get("depth_multiplier", 1)} if deep else {"filters": config["filters"]}
            )
            if style in ("tf", "late") or (modern and not deep):
                result["groups"] = config.get("groups", 1)
        case "BatchNormalization":
            result |= {"axis": [3] if style in ("tf", "late") else -1, "momentum": 0.99, "epsilon": config["epsilon"]}
            result |= {"center": True, "scale": True}
            for name, start in (
                ("beta", "Zeros"),
                ("gamma", "Ones"),
                ("moving_mean", "Zeros"),
                ("moving_variance", "Ones"),
            ):
                result[f"{name}_initializer"] = _initializer(start, style)
            result |= {f"{name}_{rule}": None for name in ("beta", "gamma") for rule in ("regularizer", "constraint")}
            if modern:
                result |= {"synchronized": False, "renorm": False, "renorm_clipping": None, "renorm_momentum": 0.99}
        case "MaxPooling2D":
            window = pair(config["pool_size"])
            result |= {"pool_size": list(window), "strides": list(pair(config.get("strides") or window))}
            result |= ordering | {"padding": config.get("padding", "valid")}
        case "GlobalAveragePooling2D":
            result |= ordering | ({} if style in ("classic", "tf") else {"keepdims": False})
        case "Flatten":
            result |= ordering
        case "Dense":
            result |= weights("kernel") | {"units": config["units"]}
            if modern:
                del result["activity_regularizer"]
                result["quantization_config"] = None
        case "Activation":
            result["activation"] = config["activation"]
        case "Dropout":
            result |= {"rate": config["rate"], "noise_shape": None, "seed": None}
    return result


_ADAM = {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-07, "amsgrad": False}
_RATE = {"learning_rate": 0.0010000000474974513}
_CLIPPING = {
    **dict.fromkeys(("weight_decay", "clipnorm", "global_clipnorm", "clipvalue", "ema_overwrite_frequency")),
    "use_ema": False,
    "ema_momentum": 0.99,
}
_LOSS = {"loss": "categorical_crossentropy", "loss_weights": None}
_METRIC = {"name": "accuracy", "dtype": "float32", "fn": "categorical_accuracy"}
_WRAPPED = {"metrics": [[{"class_name": "MeanMetricWrapper", "config": _METRIC}]], "weighted_metrics": None}
_TRAINING = {
    "classic": {
        **_LOSS,
        "metrics": ["accuracy"],
        "sample_weight_mode": None,
        "optimizer_config": {"class_name": "Adam", "config": {"lr": 0.0010000000474974513, "decay": 0.0, **_ADAM}},
    },
    "tf": {
        **_LOSS,
        **_WRAPPED,
        "optimizer_config": {"class_name": "Adam", "config": {"name": "Adam", **_RATE, "decay": 0.0, **_ADAM}},
    },
    "late": {
        **_LOSS,
        **_WRAPPED,
        "optimizer_config": {
            "class_name": "Custom>Adam",
            "config": {
                "name": "Adam",
                **_CLIPPING,
                "jit_compile": False,
                "is_legacy_optimizer": False,
                **_RATE,
                **_ADAM,
            },
        },
    },
    "3": {
        **_LOSS,
        "metrics": ["accuracy"],
        "weighted_metrics": None,
        "run_eagerly": False,
        "steps_per_execution": 1,
        "jit_compile": False,
        "optimizer_config": {
            "class_name": "Adam",
            "config": {
                "name": "adam",
                **_CLIPPING,
                "loss_scale_factor": None,
                "gradient_accumulation_steps": None,
                **_RATE,
                **_ADAM,
            },
        },
    },
}

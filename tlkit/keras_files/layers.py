"""Read the layers of a weights file, in the same form for every dialect.

Only structure is read; a tensor is a dataset of the open file, and its values are read when they are used.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import h5py
import numpy as np

from tlkit.errors import WeightsError
from tlkit.keras_files.format_detection import FOLDERS, weights_root
from tlkit.keras_files.hdf5.attributes import text, text_list, value_of
from tlkit.keras_files.hdf5.folders import Folder, split_backslashes
from tlkit.keras_files.hdf5.links import inside, names, numbers
from tlkit.keras_files.legacy_names import is_automatic, numbered, owner_and_role, snake_case
from tlkit.keras_files.model_config import ConfigLayer
from tlkit.keras_files.types import Header
from tlkit.utils.text import MAX_NAME

MAX_DEPTH = 32
"""Layers inside layers; deeper folders are no network."""
MAX_LAYERS = 1_000_000


@dataclass(frozen=True)
class SavedTensor:
    """One weight.

    Attributes:
        name: As the file has it.
        values: The dataset, unread.
        role: What it is in Keras 3's words (``kernel``, ``moving_mean``); None where the file does not tell.
    """

    name: str
    values: h5py.Dataset
    role: str | None = None


@dataclass(frozen=True)
class SavedLayer:
    """One layer of the file, with its weights in saved order.

    Attributes:
        name: Its name.
        tensors: Its weights.
        kind: Its class in snake case (``batch_normalization``), or None where the file does not tell.
        path: The names of the models it is inside of, outermost first.
        place: The group of the file.
        ordered: False when its position is not that of the network, because an inner model was saved partly frozen or
            because folders are sorted by class: only the order within a class is known then.
        named: False when the file gives it no name, and ``name`` is that of its group.
    """

    name: str
    tensors: tuple[SavedTensor, ...]
    kind: str | None = None
    path: tuple[str, ...] = ()
    place: str = ""
    ordered: bool = True
    named: bool = True


def saved_layers(root: h5py.File, header: Header) -> list[SavedLayer]:
    """Return every layer of a file in saved order, those without weights included where the file lists them.

    Raises:
        WeightsError: The file points outside itself, or contradicts itself.
    """
    if header.dialect == "keras0-weights":
        return list(_counted(root))
    if header.dialect in ("keras3-weights", "keras-archive"):
        return list(_folders(root, header.config))
    if header.generation is not None:
        return list(_named(weights_root(root), header.config))
    return []


def _counted(root: h5py.File) -> Iterator[SavedLayer]:
    """Read ``layer_{k}`` and ``param_{p}``: Keras 0.3."""
    for number in range(_count(root, "nb_layers")):
        name = f"layer_{number}"
        group = inside(root, name)
        keys = [f"param_{position}" for position in range(_count(group, "nb_params"))]
        yield SavedLayer(name, tuple(SavedTensor(key, numbers(group, key)) for key in keys), place=name, named=False)


def _count(group: h5py.Group, attribute: str) -> int:
    value = value_of(group, attribute)
    if not isinstance(value, int | np.integer) or not 0 <= value <= MAX_LAYERS:
        raise WeightsError(f"{group.file.filename} is damaged: {attribute} is {value}.")
    return int(value)


def _named(root: h5py.Group, config: ConfigLayer | None) -> Iterator[SavedLayer]:
    """Read groups by layer name: Keras 1 and 2."""
    described = {layer.name: layer for layer in (config.layers or ())} if config else {}
    for name in text_list(root, "layer_names"):
        group = inside(root, name)
        tensors = [
            SavedTensor(key, numbers(group, key), owner_and_role(key)[1]) for key in text_list(group, "weight_names")
        ]
        layer = described.get(name)
        if layer is not None and layer.layers is not None:
            yield from _inner(layer, tensors, name, (name,))
        elif layer is None and len({owner_and_role(tensor.name)[0] for tensor in tensors}) > 1:
            yield from _inner_by_owner(tensors, name)
        else:
            yield SavedLayer(name, tuple(tensors), snake_case(layer.kind) if layer else None, place=name)


def _inner(
    model: ConfigLayer, tensors: Sequence[SavedTensor], place: str, path: tuple[str, ...]
) -> Iterator[SavedLayer]:
    """Split an inner model into its layers: their order is in the configuration, their owners in the weight names."""
    leaves = [(layer, path) for layer, path in _walk(model, path)]
    known = {layer.name for layer, _ in leaves}
    owned: dict[str, list[SavedTensor]] = {}
    for tensor in tensors:
        owned.setdefault(_owner(tensor.name, known) or "", []).append(tensor)
    if "" in owned or any(
        len({tensor.role for tensor in group}) < len(group) and len({tensor.name for tensor in group}) < len(group)
        for group in owned.values()
    ):
        # names that match no layer: the order is unknown, so the model stays one piece
        yield SavedLayer(place, tuple(tensors), snake_case(model.kind), place=place, ordered=False)
        return
    for layer, where in leaves:
        yield SavedLayer(layer.name, tuple(owned.get(layer.name, ())), snake_case(layer.kind), where, place)


def _walk(model: ConfigLayer, path: tuple[str, ...]) -> Iterator[tuple[ConfigLayer, tuple[str, ...]]]:
    for layer in model.layers or ():
        if layer.layers is None:
            yield layer, path
        else:
            yield from _walk(layer, (*path, layer.name))


def _owner(weight: str, known: set[str]) -> str | None:
    """Return the layer among ``known`` that a weight belongs to: the longest part of its path that is a layer name."""
    owner, _ = owner_and_role(weight)
    parts = owner.split("/")
    for length in range(len(parts), 0, -1):
        for start in range(len(parts) - length, -1, -1):
            name = "/".join(parts[start : start + length])
            if name in known:
                return name
            if numbered(name)[0] in known:  # TensorFlow 1 numbers scopes: block1_conv1_1/kernel
                return numbered(name)[0]
    return None


def _inner_by_owner(tensors: Sequence[SavedTensor], place: str) -> Iterator[SavedLayer]:
    """Split an inner model into its layers by the names of its weights alone.

    Keras saves what trains first, then the rest. Saved with all layers training, or all frozen, the first weight of
    each layer comes in the order of the layers; saved partly frozen it does not.
    """
    owned: dict[str, list[SavedTensor]] = {}
    for tensor in tensors:
        owned.setdefault(owner_and_role(tensor.name)[0], []).append(tensor)
    runs = Counter(owner for owner, _ in groupby(owner_and_role(tensor.name)[0] for tensor in tensors))
    several = [owner for owner, group in owned.items() if {"gamma", "moving_mean"} <= {item.role for item in group}]
    ordered = len({runs[owner] for owner in several}) <= 1 and _counts_up(owned)
    for owner, group in owned.items():
        yield SavedLayer(owner, tuple(group), path=(place,), place=place, ordered=ordered)


def _counts_up(owners: Iterable[str]) -> bool:
    """Return False if automatic names (``conv2d_17``) do not come in the order of their numbers."""
    last: dict[str, int] = {}
    for owner in owners:
        if is_automatic(owner):
            kind, number = numbered(owner.rsplit("/", 1)[-1])
            if last.get(kind, -1) > number:
                return False
            last[kind] = number
    return True


def _folders(root: h5py.File, config: ConfigLayer | None) -> Iterator[SavedLayer]:
    """Read folders of Keras 3, and of Keras 2.12 to 2.15: named by class and number, or as a subclassed model does."""
    top = Folder("", root)
    if not any(folder in top.folders for folder in FOLDERS):
        split_backslashes(top)
    if "vars" in top.folders:
        yield SavedLayer("", _variables(top.folders["vars"], ""), place="vars")
    yield from _model_layers(top, (), config, 0)


def _model_layers(
    folder: Folder, path: tuple[str, ...], config: ConfigLayer | None, depth: int
) -> Iterator[SavedLayer]:
    """Read the layers that Keras lists, then those that a subclassed model holds as attributes."""
    for inner in FOLDERS:
        if inner in folder.folders:
            yield from _folder_layers(folder.folders[inner], path, config, depth)
    if config is not None and config.layers is not None:
        return  # the network is described, and has no others
    for name in sorted(folder.folders.keys() - {*FOLDERS, *_NO_LAYERS}, key=numbered):
        item = folder.folders[name]
        if depth > MAX_DEPTH:
            raise _too_deep(folder)
        given = _given_name(item)
        known = given is not None and not is_automatic(given)
        kind = numbered(given)[0] if given and not known else None
        if item.folders.keys() - {"vars", "seed_generator"} <= _PARTS:
            label = str(given) if known else name
            yield SavedLayer(label, _all_variables(item), kind, path, item.place, ordered=False, named=known)
        else:
            own = _variables(item.folders["vars"], "vars/") if "vars" in item.folders else ()
            if own:
                yield SavedLayer(name, own, None, path, item.place, ordered=False, named=False)
            yield from _model_layers(item, (*path, name), None, depth + 1)


_NO_LAYERS = {
    "vars", "seed_generator", "optimizer", "_optimizer", "metrics", "_metrics", "compiled_metrics", "compiled_loss",
    "_compile_metrics", "_compile_loss", "_loss_tracker",
}  # fmt: skip
"""Groups beside layers: the state of what trains, counts and draws random numbers."""
_PARTS = {
    "cell", "layer", "forward_layer", "backward_layer", "query_dense", "key_dense", "value_dense", "output_dense",
    "_query_dense", "_key_dense", "_value_dense", "_output_dense", "_softmax", "_dropout_layer",
}  # fmt: skip
"""Parts of Keras's own layers: GRU, Bidirectional, MultiHeadAttention and their like."""


def _too_deep(folder: Folder) -> WeightsError:
    return WeightsError(f"{folder.place} is inside layers {MAX_DEPTH} deep; too many.")


def _folder_layers(
    folder: Folder, path: tuple[str, ...], config: ConfigLayer | None, depth: int
) -> Iterator[SavedLayer]:
    if depth > MAX_DEPTH:
        raise _too_deep(folder)
    kinds: dict[str, list[str]] = {}
    for name in sorted(folder.folders, key=numbered):
        kinds.setdefault(numbered(name)[0], []).append(name)
    described: dict[str, list[ConfigLayer]] = {}
    for layer in (config.layers or ()) if config else ():
        described.setdefault(snake_case(layer.kind), []).append(layer)
    found: list[tuple[str, str, ConfigLayer | None]] = []
    for kind, same_kind in kinds.items():
        # with a configuration the k-th folder of a class is its k-th layer, so order is known again
        same = described.get(kind, [])
        found += [(name, kind, same[k] if len(same) == len(same_kind) else None) for k, name in enumerate(same_kind)]
    ordered = config is not None and config.layers is not None and all(layer is not None for *_, layer in found)
    if config is not None and config.layers is not None and ordered:
        position = {id(layer): number for number, layer in enumerate(config.layers)}
        found.sort(key=lambda item: position[id(item[2])])
    for key, kind, described_by in found:
        item = folder.folders[key]
        given = (described_by.name if described_by else None) or _given_name(item)
        name = given or key
        nested = next((inner for inner in FOLDERS if inner in item.folders), None)
        if nested:
            yield from _folder_layers(item.folders[nested], (*path, name), described_by, depth + 1)
        else:
            yield SavedLayer(name, _all_variables(item), kind, path, item.place, ordered, named=bool(given))


def _given_name(item: Folder) -> str | None:
    groups = [folder.group for folder in (item, item.folders.get("vars")) if folder is not None and folder.group]
    names_given = (text(group, "name") for group in groups)
    return next((name for name in names_given if name and len(name) <= MAX_NAME), None)


def _all_variables(folder: Folder) -> tuple[SavedTensor, ...]:
    """Return the weights of a layer: its own, then those of its parts (the cell of a GRU)."""
    found: list[SavedTensor] = []
    waiting = [("", folder, 0)]
    while waiting:
        prefix, item, depth = waiting.pop()
        if "vars" in item.folders:
            found += _variables(item.folders["vars"], f"{prefix}vars/")
        if depth > MAX_DEPTH:
            raise WeightsError(f"{folder.place} has folders {MAX_DEPTH} deep; too many.")
        for name in sorted(item.folders.keys() - {"vars", "seed_generator"}, key=numbered, reverse=True):
            waiting.append((f"{prefix}{name}/", item.folders[name], depth + 1))
    return tuple(found)


def _variables(folder: Folder, prefix: str) -> tuple[SavedTensor, ...]:
    group: Any = folder.group
    keys = sorted(
        names(group) if group is not None else (),
        key=lambda key: (not key.isdigit(), int(key) if key.isdigit() else 0, key),
    )
    return tuple(SavedTensor(f"{prefix}{key}", numbers(group, key)) for key in keys)


def kernel_layout(layers: Sequence[SavedLayer]) -> str | None:
    """Return the order of the axes of a file's 2D kernels, in words; None unless every shape shows it.

    In nearly every network a kernel is small in height and width, compared with its channels.
    """
    shapes = {
        tuple(tensor.values.shape)
        for layer in layers
        for tensor in layer.tensors
        if len(tensor.values.shape) == 4 and tensor.role in ("kernel", None)
    }
    tf = all(_small(shape[0], shape[1], shape[3]) for shape in shapes)
    th = all(_small(shape[2], shape[3], shape[0]) for shape in shapes)
    if not shapes or tf == th:
        return None
    return "height, width, in, out" if tf else "out, in, height, width"


def _small(height: int, width: int, out: int) -> bool:
    return height <= 11 and width <= 11 and max(height, width) < max(out, 2)

"""The tensors of a weights file: layers by name as Keras 1 and 2 wrote them, folders as Keras 3 does.

Only structure is read here; a tensor is a data set of the open file, and its values are read by whoever needs them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py

from tlkit.errors import WeightsError
from tlkit.h5.links import decoded, has, inside, numbers, text_list
from tlkit.text import printable


@dataclass(frozen=True)
class SavedLayer:
    """One layer of the file: its name, and its weights in saved order."""

    name: str
    weights: tuple[tuple[str, h5py.Dataset], ...]


@contextmanager
def open_weights(path: Path) -> Iterator[h5py.File]:
    """Open a weights file to read; whatever HDF5 says of damage inside the block names the file.

    Raises:
        WeightsError: The file is damaged.
    """
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, KeyError, ValueError, TypeError, RuntimeError, RecursionError) as error:
        raise WeightsError(f"{printable(path)} is damaged: {printable(error)}.") from error


def _root(file: h5py.File) -> Any:
    """Where the layers are: in the file, or in the ``model_weights`` of a full model."""
    return inside(file, "model_weights") if has(file, "model_weights") else file


def is_layer_file(file: h5py.File) -> bool:
    """True for a weights file of Keras 1 or 2, or a full model of theirs."""
    return bool(text_list(_root(file), "layer_names"))


def saved_layers(file: h5py.File) -> list[SavedLayer]:
    """Every layer of a Keras 1 or 2 file that has weights, in saved order.

    Raises:
        WeightsError: The file points outside itself.
    """
    root = _root(file)
    layers = []
    for name in text_list(root, "layer_names"):
        group = inside(root, name)
        weights = tuple((key, numbers(group, key)) for key in text_list(group, "weight_names"))
        if weights:
            layers.append(SavedLayer(name, weights))
    return layers


def saved_variables(file: h5py.File) -> dict[str, h5py.Dataset]:
    """Every tensor of a Keras 3 file by the folder of its layer and its number: ``layers/dense/vars/0``.

    Raises:
        WeightsError: The file points outside itself.
    """
    found: dict[str, h5py.Dataset] = {}
    waiting = [("layers", inside(file, "layers"))] if has(file, "layers") else []
    while waiting:
        prefix, group = waiting.pop()
        for name in map(decoded, group.id):
            item = inside(group, name)
            if isinstance(item, h5py.Group):
                waiting.append((f"{prefix}/{name}", item))
            else:
                found[f"{prefix}/{name}"] = numbers(group, name)
    return found

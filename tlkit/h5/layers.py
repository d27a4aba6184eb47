"""Read the arrays of a weights file: layers by name as Keras 1 and 2 wrote them, folders as Keras 3 does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from tlkit.errors import WeightsError
from tlkit.text import printable


@dataclass(frozen=True)
class SavedLayer:
    """One layer of the file: its name, and its weights in saved order."""

    name: str
    weights: tuple[tuple[str, np.ndarray], ...]


def _names(group: h5py.Group, attribute: str) -> list[str]:
    """A list of names; long ones are split over ``attribute0``, ``attribute1``, …."""
    if attribute in group.attrs:
        chunks = [group.attrs[attribute]]
    else:
        chunks = []
        while f"{attribute}{len(chunks)}" in group.attrs:
            chunks.append(group.attrs[f"{attribute}{len(chunks)}"])
    return [
        name.decode("utf-8", "surrogateescape") if isinstance(name, bytes) else str(name)
        for chunk in chunks
        for name in np.atleast_1d(chunk)
    ]


def _has(group: h5py.Group, name: str) -> bool:
    """True when the group has a hard link of that name. Any other link may lead to another file: ``in`` and ``get``
    of h5py would open that file to see, this looks at the link alone.
    """
    links = group.id.links
    encoded = name.encode("utf-8", "surrogateescape")
    return links.exists(encoded) and links.get_info(encoded).type == h5py.h5l.TYPE_HARD


def _inside(group: h5py.Group, path: str) -> Any:
    """The object at ``path``, reached over hard links only."""
    item: Any = group
    for part in path.split("/"):
        if not (part and isinstance(item, h5py.Group) and _has(item, part)):
            raise WeightsError(f"{printable(path)!r} is not inside {printable(group.file.filename)}.")
        item = item[part]
    return item


def _root(file: h5py.File) -> Any:
    """Where the layers are: in the file, or in the ``model_weights`` of a full model."""
    return _inside(file, "model_weights") if _has(file, "model_weights") else file


def _array(group: h5py.Group, path: str) -> np.ndarray:
    dataset = _inside(group, path)
    if not isinstance(dataset, h5py.Dataset) or dataset.is_virtual or dataset.external:
        raise WeightsError(f"{printable(path)!r} keeps its values outside {printable(group.file.filename)}.")
    return np.asarray(dataset)


def is_layer_file(file: h5py.File) -> bool:
    """True for a weights file of Keras 1 or 2, or a full model of theirs."""
    return bool(_names(_root(file), "layer_names"))


def read_layers(path: Path) -> list[SavedLayer]:
    """Every layer of the file that has weights, in saved order.

    Raises:
        WeightsError: The file is damaged, or points outside itself.
    """

    def read(file: h5py.File) -> Iterator[SavedLayer]:
        root = _root(file)
        for name in _names(root, "layer_names"):
            group = _inside(root, name)
            weights = tuple((key, _array(group, key)) for key in _names(group, "weight_names"))
            if weights:
                yield SavedLayer(name, weights)

    with _damage_named(path), h5py.File(path, "r") as file:
        return list(read(file))


def read_variables(path: Path) -> dict[str, np.ndarray]:
    """Every array of a weights file of Keras 3, by the folder of its layer and its number: ``layers/dense/vars/0``.

    Raises:
        WeightsError: The file is damaged, or points outside itself.
    """
    found: dict[str, np.ndarray] = {}

    def visit(group: h5py.Group, prefix: str) -> None:
        for name in group:
            here = f"{prefix}{name}"
            if isinstance(_inside(group, name), h5py.Group):
                visit(group[name], f"{here}/")
            else:
                found[here] = _array(group, name)

    with _damage_named(path), h5py.File(path, "r") as file:
        if _has(file, "layers"):
            visit(_inside(file, "layers"), "layers/")
    return found


@contextmanager
def _damage_named(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, KeyError, ValueError, RuntimeError, RecursionError) as error:
        raise WeightsError(f"{printable(path)} is damaged: {printable(error)}.") from error

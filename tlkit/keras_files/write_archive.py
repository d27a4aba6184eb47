"""Write a functional model as a ``.keras`` archive, from its configuration and arrays: without Keras."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tlkit.keras_files.legacy_names import snake_case

if TYPE_CHECKING:
    import h5py
    import numpy as np

    Arrays = Mapping[tuple[str, ...], Mapping[str, np.ndarray]]

_PARTS = {"GRU": "cell", "LSTM": "cell", "SimpleRNN": "cell"}
"""Layers that store their weights in a part of them."""


def write_archive(path: Path, config: Mapping[str, Any], arrays: Arrays, keras_version: str) -> None:
    """Write ``config.json``, ``metadata.json`` and ``model.weights.h5`` into one file that ``keras.saving`` loads.

    Args:
        path: The file to write.
        config: ``{"class_name": "Functional", "config": …}`` of Keras 3.
        arrays: ``{path and name of a layer: {role: array}}``, in the order in which the layer has them.
        keras_version: The Keras whose form this is.
    """
    import h5py

    weights = io.BytesIO()
    with h5py.File(weights, "w") as file:
        _write_model(file, config, (), arrays)
    metadata = {"keras_version": keras_version, "date_saved": f"{datetime.now():%Y-%m-%d@%H:%M:%S}"}
    with zipfile.ZipFile(path, "w") as archive:  # stored, as Keras does: weights do not compress
        archive.writestr("metadata.json", json.dumps(metadata))
        archive.writestr("config.json", json.dumps(config))
        with archive.open("model.weights.h5", "w", force_zip64=True) as member:
            member.write(weights.getbuffer())


def _write_model(group: h5py.Group, entry: Mapping[str, Any], path: tuple[str, ...], arrays: Arrays) -> None:
    group.create_group("vars").attrs["name"] = entry["config"]["name"]
    layers = [item for item in entry["config"]["layers"] if not str(item.get("module")).startswith("keras.src.ops.")]
    for name, item in zip(_group_names(layers), layers, strict=True):
        own = group.create_group(f"layers/{name}")
        inner = (*path, item["config"]["name"])
        if "layers" in item["config"]:
            _write_model(own, item, inner, arrays)
            continue
        own.create_group("vars").attrs["name"] = inner[-1]
        holder = own.create_group(f"{_PARTS[item['class_name']]}/vars") if item["class_name"] in _PARTS else own["vars"]
        for number, array in enumerate(arrays.get(inner, {}).values()):
            holder[str(number)] = array


def _group_names(layers: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield what Keras calls the groups of layers: their class, numbered from its second on."""
    counts: dict[str, int] = {}
    for layer in layers:
        name = snake_case(layer["class_name"])
        number = counts[name] = counts.get(name, -1) + 1
        yield f"{name}_{number}" if number else name

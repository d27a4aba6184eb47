"""Detect the format of a weights, model or feature file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py

from tlkit.errors import WeightsError
from tlkit.keras_files.hdf5.attributes import text, text_list
from tlkit.keras_files.hdf5.links import has, inside, names
from tlkit.keras_files.model_config import ARCHIVE_CONFIG, ARCHIVE_METADATA, parse_config, parse_json
from tlkit.keras_files.types import FEATURES, Header
from tlkit.utils.text import MAX_NAME, truncate

FOLDERS = ("layers", "_layer_checkpoint_dependencies")
"""The groups of ``.weights.h5`` that hold layers, as Keras 3 and Keras 2.12 to 2.15 call them."""

MAX_GROUPS, MAX_DEPTH = 20_000, 32
"""Names that are looked at to recognise the file of a subclassed model, and groups inside groups."""


def weights_root(root: h5py.Group) -> Any:
    """Return the group that holds the layers of Keras 1 and 2: the file, or ``model_weights`` of a full model."""
    return inside(root, "model_weights") if has(root, "model_weights") else root


def read_header(path: Path, file: h5py.File, archive: dict[str, Any] | None) -> Header:
    """Detect the dialect of a file from its content; its name does not matter.

    Args:
        path: Where it is, for messages.
        file: The HDF5 file, or the one inside an archive.
        archive: The JSON texts of a ``.keras`` archive by name; None for a plain HDF5 file.

    Raises:
        WeightsError: The file points outside itself.
    """
    if archive is not None:
        metadata, raw = archive.get(ARCHIVE_METADATA), archive[ARCHIVE_CONFIG]
        version = metadata.get("keras_version") if isinstance(metadata, dict) else None
        version = truncate(version) if isinstance(version, str) else None
        return Header("keras-archive", version, None, raw, parse_config(raw))
    root = weights_root(file)
    version, backend = (
        truncate(text(file, name) or text(root, name) or "") or None for name in ("keras_version", "backend")
    )
    if "nb_layers" in file.attrs:
        return Header("keras0-weights", version, backend)
    if FEATURES in file.attrs:
        return Header("tlkit-features", version, backend)
    config = text(file, "model_config")
    if config is not None or root is not file:
        raw, problem = None, None
        try:
            raw = parse_json(config, f"The model_config of {path}") if config is not None else None
        except WeightsError as error:  # the weights may be whole all the same
            problem = error.message
        return Header(_by_version(version, "model"), version, backend, raw, parse_config(raw), problem)
    if "layer_names" in root.attrs or text_list(root, "layer_names"):
        return Header(_by_version(version, "weights"), version, backend)
    if (
        any(has(file, folder) for folder in FOLDERS)
        or (has(file, "vars") and set(names(file)) <= {"vars", "optimizer"})
        or _holds_variables_only(file)
    ):
        return Header("keras3-weights", version, backend)
    return Header("hdf5", version, backend)


def _holds_variables_only(file: h5py.File) -> bool:
    """Return True if every dataset is a number in a group ``vars``, as Keras 3 saves a subclassed model."""
    found, seen = False, 0
    waiting: list[tuple[h5py.Group, bool, int]] = [(file, False, 0)]
    while waiting:
        group, variables, depth = waiting.pop()
        for name in names(group):
            seen += 1
            if seen > MAX_GROUPS or depth > MAX_DEPTH or len(name) > MAX_NAME:
                return False
            if not has(group, name):
                continue
            item = inside(group, name)
            if isinstance(item, h5py.Group):
                waiting.append((item, name == "vars", depth + 1))
            elif variables and isinstance(item, h5py.Dataset) and item.dtype.kind in "fiu":
                found = True
            else:
                return False
    return found


def _by_version(version: str | None, what: str) -> str:
    # weights files carry a version since 2.0.0, full models always did
    if version is None or version.startswith("1"):
        return f"keras1-{what}"
    return f"keras3-legacy-{what}" if version.startswith("3") else f"keras2-{what}"

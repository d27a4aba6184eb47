"""Which of the formats that weights, models and features are kept in is this file?"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import h5py

from tlkit.h5.links import has, inside, names, text, text_list
from tlkit.h5.model_config import ConfigLayer, parse_config
from tlkit.h5.opening import ARCHIVE_CONFIG, ARCHIVE_METADATA, OpenFile, parse_json
from tlkit.text import printable

FEATURES = "tlkit_features"
"""The root attribute of a file of features that tlkit wrote; its value is the version of the format."""
FOLDERS = ("layers", "_layer_checkpoint_dependencies")
"""The groups of ``.weights.h5`` that hold layers, as Keras 3 and Keras 2.12 to 2.15 call them."""

TITLES = {
    "keras0-weights": "weights of Keras 0 (nb_layers)",
    "keras1-weights": "weights of Keras 1",
    "keras2-weights": "weights of Keras 2",
    "keras3-legacy-weights": "weights of Keras 3 in the format of Keras 2",
    "keras1-model": "full model of Keras 1",
    "keras2-model": "full model of Keras 2",
    "keras3-legacy-model": "full model of Keras 3 in the format of Keras 2",
    "keras3-weights": "weights of Keras 3 (.weights.h5)",
    "keras-archive": "full model in a .keras archive",
    "tlkit-features": "features that tlkit computed",
    "hdf5": "HDF5 of another kind",
}
"""Every dialect in words; the keys are what JSON says."""


@dataclass(frozen=True)
class Header:
    """What a file says of itself before any layer is looked at.

    Attributes:
        dialect: A key of :data:`TITLES`.
        keras_version: Of the Keras that wrote it, or None.
        backend: ``tensorflow``, ``theano``, …, or None.
        raw_config: The parsed ``model_config``, or None.
        config: The layers it speaks of, or None.
    """

    dialect: str
    keras_version: str | None = None
    backend: str | None = None
    raw_config: Any = None
    config: ConfigLayer | None = None

    @property
    def generation(self) -> int | None:
        """0, 1, 2 or 3: the Keras that decided what the tensors look like."""
        match = re.search(r"keras(\d)", self.dialect)
        return 3 if self.dialect == "keras-archive" else int(match[1]) if match else None

    @property
    def is_model(self) -> bool:
        """True when the file can be a network by itself."""
        return self.dialect.endswith("-model") or self.dialect == "keras-archive"


def weights_root(root: h5py.Group) -> Any:
    """Where the layers of Keras 1 and 2 are: in the file, or in the ``model_weights`` of a full model."""
    return inside(root, "model_weights") if has(root, "model_weights") else root


def read_header(opened: OpenFile) -> Header:
    """What kind of file this is, from its content; its name says nothing.

    Raises:
        WeightsError: The configuration in it is no JSON, or the file points outside itself.
    """
    if opened.archive is not None:
        metadata, raw = opened.archive.get(ARCHIVE_METADATA), opened.archive[ARCHIVE_CONFIG]
        version = metadata.get("keras_version") if isinstance(metadata, dict) else None
        version = version if isinstance(version, str) else None
        return Header("keras-archive", version, None, raw, parse_config(raw))
    file = opened.root
    root = weights_root(file)
    version = text(file, "keras_version") or text(root, "keras_version")
    backend = text(file, "backend") or text(root, "backend")
    if "nb_layers" in file.attrs:
        return Header("keras0-weights", version, backend)
    if FEATURES in file.attrs:
        return Header("tlkit-features", version, backend)
    config = text(file, "model_config")
    if config is not None or root is not file:
        raw = parse_json(config, f"The model_config of {printable(opened.path)}") if config is not None else None
        return Header(_by_version(version, "model"), version, backend, raw, parse_config(raw))
    if "layer_names" in root.attrs or text_list(root, "layer_names"):
        return Header(_by_version(version, "weights"), version, backend)
    if any(has(file, folder) for folder in FOLDERS) or (
        has(file, "vars") and set(names(file)) <= {"vars", "optimizer"}
    ):
        return Header("keras3-weights", version, backend)
    return Header("hdf5", version, backend)


def _by_version(version: str | None, what: str) -> str:
    # weights files carry a version since 2.0.0, full models always did
    if version is None or version.startswith("1"):
        return f"keras1-{what}"
    return f"keras3-legacy-{what}" if version.startswith("3") else f"keras2-{what}"

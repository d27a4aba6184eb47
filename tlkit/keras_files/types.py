"""What is in an HDF5 file, as plain data that crosses from one process to another: no h5py here."""

from __future__ import annotations

import dataclasses
import math
import re
from dataclasses import dataclass
from typing import Any

from tlkit.keras_files.model_config import ConfigLayer

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
"""Every dialect in words; the keys are those of JSON."""
FEATURES = "tlkit_features"
"""Root attribute of a feature file that tlkit wrote; its value is the version of the format."""


@dataclass(frozen=True)
class Header:
    """Dialect, writer and configuration of a file.

    Attributes:
        dialect: A key of :data:`TITLES`.
        keras_version: Of the Keras that wrote it, or None.
        backend: ``tensorflow``, ``theano``, …, or None.
        raw_config: The parsed ``model_config``, or None.
        config: The layers that it describes, or None.
        problem: Why its configuration cannot be read, or None.
    """

    dialect: str
    keras_version: str | None = None
    backend: str | None = None
    raw_config: Any = None
    config: ConfigLayer | None = None
    problem: str | None = None

    @property
    def generation(self) -> int | None:
        """The major version of Keras whose tensor conventions it follows: 0, 1, 2, 3 or None."""
        match = re.search(r"keras(\d)", self.dialect)
        return 3 if self.dialect == "keras-archive" else int(match[1]) if match else None

    @property
    def is_model(self) -> bool:
        """Return True if it is a full model."""
        return self.dialect.endswith("-model") or self.dialect == "keras-archive"


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute.

    Attributes:
        name: Its name.
        dtype: Its type.
        shape: Its shape; ``()`` for a single value.
        value: As JSON has it; None when it was not read.
        note: Why there is no value.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    value: Any = None
    note: str | None = None


@dataclass(frozen=True)
class Stats:
    """Statistics of the values of a tensor; NaN is left out of minimum, maximum and mean.

    Attributes:
        min: The smallest value; None where there is none.
        max: The largest value.
        mean: The mean of the finite values.
        nan: How many are not a number.
        infinite: How many are infinite.
        zero: How many are 0.
        note: Why nothing was read, else None.
    """

    min: float | None = None
    max: float | None = None
    mean: float | None = None
    nan: int = 0
    infinite: int = 0
    zero: int = 0
    note: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the attributes; infinite values as the texts ``inf`` and ``-inf``, which JSON has no number for."""
        return {
            key: str(value) if isinstance(value, float) and math.isinf(value) else value
            for key, value in dataclasses.asdict(self).items()
        }


@dataclass(frozen=True, slots=True)
class Node:
    """One name in the file.

    Attributes:
        path: From the root.
        kind: ``group``, ``dataset``, ``datatype``, ``soft link``, ``external link``, ``hard link`` (to an object
            that is listed already), or ``unreadable``.
        target: What a link points to; the files that hold the values of an external or virtual dataset; why an
            object is unreadable.
        shape: Of a dataset; None where it has none.
        dtype: Of a dataset.
        storage: ``contiguous``, ``chunked``, ``compact``, ``external``, ``virtual``.
        stored_bytes: What a dataset takes in the file.
        attributes: Those of the object.
    """

    path: str
    kind: str
    target: str | None = None
    shape: tuple[int, ...] | None = None
    dtype: str | None = None
    storage: str | None = None
    stored_bytes: int | None = None
    attributes: tuple[Attribute, ...] = ()

    def to_dict(self, stats: Stats | None = None) -> dict[str, Any]:
        """Return the attributes that apply to its kind, and ``stats`` where they were read."""
        document: dict[str, Any] = {"path": self.path, "kind": self.kind}
        if self.target is not None:
            document["target"] = self.target
        if self.kind == "dataset":
            document |= {
                "shape": None if self.shape is None else list(self.shape),
                "dtype": self.dtype,
                "storage": self.storage,
                "stored_bytes": self.stored_bytes,
            }
        if stats is not None:
            document["stats"] = stats.to_dict()
        if self.attributes:
            document["attributes"] = [
                {key: value for key, value in dataclasses.asdict(attribute).items() if key != "note" or value}
                for attribute in self.attributes
            ]
        return document


@dataclass(frozen=True)
class TensorInfo:
    """One tensor of a layer.

    Attributes:
        name: As the file has it.
        role: What it is in Keras 3's words (``kernel``, ``moving_mean``), or None.
        path: Where it is in the file.
        shape: Its shape.
        dtype: ``float32``, ….
        bytes: What its values take in memory.
        stats: Its statistics, where they were asked for.
    """

    name: str
    role: str | None
    path: str
    shape: tuple[int, ...]
    dtype: str
    bytes: int
    stats: Stats | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the attributes."""
        return {
            "name": self.name,
            "role": self.role,
            "path": self.path,
            "shape": list(self.shape),
            "dtype": self.dtype,
            "bytes": self.bytes,
            "stats": self.stats and self.stats.to_dict(),
        }


@dataclass(frozen=True)
class LayerInfo:
    """One layer, in the file's order.

    Attributes:
        name: Its name.
        kind: Its class in snake case, or None.
        parents: The names of the models that it is inside of, outermost first.
        tensors: Its tensors; none for a layer without weights.
    """

    name: str
    kind: str | None
    parents: tuple[str, ...]
    tensors: tuple[TensorInfo, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the attributes."""
        return {
            "name": self.name,
            "kind": self.kind,
            "parents": list(self.parents),
            "tensors": [tensor.to_dict() for tensor in self.tensors],
        }

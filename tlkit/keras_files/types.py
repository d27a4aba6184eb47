"""What is found in an HDF5 file, as plain data: no h5py here, so that it crosses from one process to another."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
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
        """0, 1, 2 or 3: the Keras that decided what the tensors look like."""
        match = re.search(r"keras(\d)", self.dialect)
        return 3 if self.dialect == "keras-archive" else int(match[1]) if match else None

    @property
    def is_model(self) -> bool:
        """True when the file can be a network by itself."""
        return self.dialect.endswith("-model") or self.dialect == "keras-archive"


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute.

    Attributes:
        name: Its name.
        dtype: Its type.
        shape: Its shape; ``()`` for a single value.
        value: As JSON has it; None when it was not read, and ``note`` says why.
        note: Why there is no value.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    value: Any = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Node:
    """One name in the file.

    Attributes:
        path: From the root.
        kind: ``group``, ``dataset``, ``datatype``, ``soft link``, ``external link``, ``hard link`` (to an object
            that is listed already), or ``unreadable``.
        target: What a link stands for.
        shape: Of a data set; None where it has none.
        dtype: Of a data set.
        storage: ``contiguous``, ``chunked``, ``compact``, ``external``, ``virtual``.
        stored: Bytes that a data set takes in the file.
        attributes: Those of the object.
    """

    path: str
    kind: str
    target: str | None = None
    shape: tuple[int, ...] | None = None
    dtype: str | None = None
    storage: str | None = None
    stored: int | None = None
    attributes: tuple[Attribute, ...] = field(default=())


@dataclass(frozen=True)
class Stats:
    """What the values of a tensor are like; NaN is left out of least, greatest and mean.

    Attributes:
        least: The least value; None where there is none.
        greatest: The greatest.
        mean: The mean of the finite values.
        nan: How many are not a number.
        infinite: How many are infinite.
        zero: How many are 0.
        note: Why nothing was read, else None.
    """

    least: float | None = None
    greatest: float | None = None
    mean: float | None = None
    nan: int = 0
    infinite: int = 0
    zero: int = 0
    note: str | None = None

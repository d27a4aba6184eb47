"""A weights or model file of any Keras, open for reading."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py

from tlkit.keras_files.format_detection import read_header
from tlkit.keras_files.hdf5.open import open_hdf5
from tlkit.keras_files.layers import SavedLayer, saved_layers
from tlkit.keras_files.types import Header


@dataclass(eq=False)
class KerasFile:
    """An open file.

    Attributes:
        path: Where it is.
        root: The HDF5 file, or the one inside a ``.keras`` archive.
        archive: The JSON texts of a ``.keras`` archive by name; None for a plain HDF5 file.
    """

    path: Path
    root: h5py.File
    archive: dict[str, Any] | None = None

    @cached_property
    def header(self) -> Header:
        """Its dialect, the Keras that wrote it and its model configuration.

        Raises:
            WeightsError: The file points outside itself.
        """
        return read_header(self.path, self.root, self.archive)

    @cached_property
    def layers(self) -> list[SavedLayer]:
        """Its layers in saved order, those without weights included where the file lists them.

        Raises:
            WeightsError: The file points outside itself, or contradicts itself.
        """
        return saved_layers(self.root, self.header)


@contextmanager
def open_file(path: Path) -> Iterator[KerasFile]:
    """Open an HDF5 file or a ``.keras`` archive for reading; only its structure is read.

    A file that anyone may have made should be read in another process, or verified first:
    :func:`tlkit.keras_files.verify_readable`.

    Args:
        path: The file; its name does not matter.

    Raises:
        WeightsError: There is no such file, it is neither of the two, or it is damaged; also for damage that is only
            found later, inside the ``with`` block.
    """
    with open_hdf5(path) as (root, archive):
        yield KerasFile(path, root, archive)

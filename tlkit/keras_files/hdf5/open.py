"""Open a file that holds HDF5: itself, or inside the zip of a ``.keras`` model."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py

from tlkit.errors import WeightsError
from tlkit.keras_files.foreign import foreign_error
from tlkit.keras_files.hdf5.filters import INSTALL
from tlkit.keras_files.hdf5.validate import check_is_file, is_archive, is_hdf5, structure_problem


@contextmanager
def open_hdf5(path: Path) -> Iterator[tuple[h5py.File, dict[str, Any] | None]]:
    """Open an HDF5 file or a ``.keras`` archive for reading; what HDF5 raises on damage becomes one line.

    Yields:
        The HDF5 file, and the JSON texts of an archive by name; None for a plain HDF5 file.

    Raises:
        WeightsError: It is neither, or it is damaged.
    """
    check_is_file(path)
    try:
        if is_archive(path):
            from tlkit.keras_files.hdf5.keras_archive import open_archive  # zipfile takes half of our start-up time

            with open_archive(path) as opened:
                yield opened
        else:
            if not is_hdf5(path):
                raise foreign_error(path)
            wrong = structure_problem(path)
            if wrong:
                raise WeightsError(f"{path} cannot be read: {wrong}.")
            with h5py.File(path, "r") as file:
                yield file, None
    except FileNotFoundError as error:
        raise WeightsError(f"There is no file {path}.") from error
    except (IsADirectoryError, PermissionError) as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror}.") from error
    except (OSError, KeyError, ValueError, TypeError, RuntimeError, RecursionError, MemoryError,
            OverflowError) as error:  # fmt: skip
        lines = str(error).strip().splitlines()
        if isinstance(error, OSError) and lines and re.search("plugin|required filter|open directory", lines[0]):
            raise WeightsError(f"{path} is packed with an HDF5 filter that is not installed.", hint=INSTALL) from error
        raise WeightsError(f"{path} is damaged: {lines[0] if lines else type(error).__name__}.") from error

"""Open a file that holds HDF5: itself, or inside the zip of a ``.keras`` model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py

from tlkit.errors import WeightsError
from tlkit.keras_files.hdf5.validate import check_is_file, is_archive, structure_problem


@dataclass(frozen=True)
class OpenFile:
    """An open file.

    Attributes:
        path: Where it is.
        root: The HDF5 file, or the one inside the archive.
        archive: The JSON texts of a ``.keras`` archive by name; None for a plain HDF5 file.
    """

    path: Path
    root: h5py.File
    archive: dict[str, Any] | None = None


@contextmanager
def open_file(path: Path) -> Iterator[OpenFile]:
    """Open an HDF5 file or a ``.keras`` archive to read; whatever HDF5 says of damage names the file.

    Raises:
        WeightsError: It is neither, or it is damaged.
    """
    check_is_file(path)
    try:
        if is_archive(path):
            from tlkit.keras_files.hdf5.keras_archive import open_archive  # half of all start-up time that is ours

            with open_archive(path) as (root, texts):
                yield OpenFile(path, root, texts)
        else:
            wrong = structure_problem(path)
            if wrong:
                raise WeightsError(f"{path} cannot be read: {wrong}.")
            with h5py.File(path, "r") as file:
                yield OpenFile(path, file)
    except FileNotFoundError as error:
        raise WeightsError(f"There is no file {path}.") from error
    except (IsADirectoryError, PermissionError) as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror}.") from error
    except (OSError, KeyError, ValueError, TypeError, RuntimeError, RecursionError, MemoryError,
            OverflowError) as error:  # fmt: skip
        lines = str(error).strip().splitlines()
        raise WeightsError(f"{path} is damaged: {lines[0] if lines else type(error).__name__}.") from error

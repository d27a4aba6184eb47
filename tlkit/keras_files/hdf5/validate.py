"""Check that a path is a file, that it holds HDF5, and that it is not cut short."""

from __future__ import annotations

import stat
from pathlib import Path

from tlkit.errors import WeightsError

SIGNATURE = b"\x89HDF\r\n\x1a\n"


def check_is_file(path: Path) -> None:
    """Refuse anything but a regular file: opening a pipe would wait forever.

    Raises:
        WeightsError: It is a folder, a pipe or a device, or does not exist.
    """
    name = str(path) if path.name else "''"
    try:
        mode = path.stat().st_mode
    except OSError as error:
        missing = isinstance(error, FileNotFoundError | NotADirectoryError)
        reason = f"There is no file {name}." if missing else f"{name} cannot be read: {error.strerror}."
        raise WeightsError(reason) from error
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a pipe" if stat.S_ISFIFO(mode) else "a device"
        raise WeightsError(f"{name} is {kind}, not a file.", hint="Name a file of weights, a model or features.")


def is_hdf5(path: Path) -> bool:
    """Return True if the file starts like an HDF5 file."""
    with path.open("rb") as file:
        return file.read(len(SIGNATURE)) == SIGNATURE


def is_archive(path: Path) -> bool:
    """Return True if the file starts like a zip file."""
    with path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04"


def structure_problem(path: Path) -> str | None:
    """Return why ``path`` is not a complete HDF5 file; None if it is one.

    A file cut short is found because its superblock records where it should end. Only metadata is read.
    """
    import h5py

    try:
        if not is_hdf5(path):
            with path.open("rb") as file:
                start = file.read(512).lstrip().lower()
            if not start:
                return "it is empty"
            if start.startswith(b"version https://git-lfs"):
                return "it is a Git LFS pointer, not the file itself; `git lfs pull` fetches that"
            if start.startswith(b"\x1f\x8b"):
                return "it is compressed with gzip; `gunzip` it first"
            return "it is a web page, not a weights file" if start.startswith(b"<") else "it is not an HDF5 file"
        with h5py.File(path, "r") as file:
            len(file)
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        return "it is cut short" if "truncated" in str(error) else f"HDF5 cannot open it ({error})"
    return None

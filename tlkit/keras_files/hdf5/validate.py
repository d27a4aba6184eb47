"""Is this an HDF5 file, and is it whole?"""

from __future__ import annotations

import stat
from pathlib import Path

from tlkit.errors import WeightsError

SIGNATURE = b"\x89HDF\r\n\x1a\n"


def check_is_file(path: Path) -> None:
    """Refuse what is there and is no file: opening a pipe would wait for ever.

    Raises:
        WeightsError: A folder, a pipe, a device; or nothing.
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
    """True when the file starts as HDF5 files do."""
    with path.open("rb") as file:
        return file.read(len(SIGNATURE)) == SIGNATURE


def is_archive(path: Path) -> bool:
    """True when the file starts as zip files do."""
    with path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04"


def structure_problem(path: Path) -> str | None:
    """Why ``path`` is not a whole HDF5 file, in words; None when it is one.

    A file cut short is found because its superblock says where it should end. Nothing but metadata is read.
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

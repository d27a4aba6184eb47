"""Check that a path is a file, that it holds HDF5, and that it is not cut short."""

from __future__ import annotations

import stat
from pathlib import Path

from tlkit.errors import WeightsError
from tlkit.keras_files.foreign import Foreign, foreign_file, foreign_folder

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
        what, hint = "a pipe" if stat.S_ISFIFO(mode) else "a device", None
        if stat.S_ISDIR(mode):
            found = foreign_folder(path)
            what, hint = found.what, found.hint
        raise WeightsError(
            f"{name} is {what}, not a file.", hint=hint or "Name a file of weights, a model or features."
        )


def is_hdf5(path: Path) -> bool:
    """Return True if the file is HDF5: it starts like one, or does so after a user block (MATLAB writes one)."""
    with path.open("rb") as file:
        offset, size = 0, path.stat().st_size
        while offset + len(SIGNATURE) <= size:
            file.seek(offset)
            if file.read(len(SIGNATURE)) == SIGNATURE:
                return True
            offset = max(512, offset * 2)  # where HDF5 looks
    return False


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
            return f"it is {(foreign_file(path) or Foreign('not an HDF5 file')).what}"
        with h5py.File(path, "r") as file:
            len(file)
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        return "it is cut short" if "truncated" in str(error) else f"HDF5 cannot open it ({error})"
    return None

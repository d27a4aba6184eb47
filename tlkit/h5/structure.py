"""Is this an HDF5 file, and is it whole?"""

from __future__ import annotations

from pathlib import Path

SIGNATURE = b"\x89HDF\r\n\x1a\n"


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
            return "it is a web page, not a weights file" if start.startswith(b"<") else "it is not an HDF5 file"
        with h5py.File(path, "r") as file:
            len(file)
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        return "it is cut short" if "truncated" in str(error) else f"HDF5 cannot open it ({error})"
    return None

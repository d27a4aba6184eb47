"""Lists of files to leave out, as `tlkit check --write-list` writes them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tlkit.data.discovery import near_names
from tlkit.errors import DataError, TlkitError
from tlkit.utils.atomic_write import atomic_write


def read_list(path: str) -> frozenset[str]:
    """Read the paths of a list: one a line, below the data folder; what follows a tab is a remark.

    Raises:
        DataError: It cannot be read.
    """
    try:
        lines = Path(path).read_text("utf-8-sig").splitlines()
    except OSError as error:
        raise DataError(f"Cannot read the list {path}: {error.strerror or error}.", hint=near_names(path)) from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is no list of files: it is not UTF-8 text.") from error
    names = (line.split("\t")[0].strip() for line in lines if not line.startswith("#"))
    return frozenset(name.removeprefix("./") for name in names if name)


def write_list(path: Path, rows: Iterable[tuple[str, str]]) -> None:
    """Write ``(path below the data folder, why)`` of each file.

    Raises:
        TlkitError: The list cannot be written.
    """
    try:
        with atomic_write(path) as part:
            lines = ["# Look at each; `tlkit finetune --exclude` leaves out what is named here."]
            part.write_text("\n".join([*lines, *(f"{name}\t{why}" for name, why in rows)]) + "\n", "utf-8")
    except OSError as error:
        raise TlkitError(f"Cannot write the list {path}: {error.strerror or error}.") from error

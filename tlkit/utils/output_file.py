"""The one rule for every file that a command writes: what is not its own stays."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from tlkit.errors import UsageError

RUN_MODEL, RUN_RECORD, RUN_STATE = "model.keras", "run.json", "unfinished.json"
"""Files of a run folder: the first two of a finished one, the last of one that can be resumed."""
_MARK_BYTES = 2**16
"""Where in a file a mark is looked for: this many bytes at its beginning, and at its end."""


def check_output(path: Path, is_own: Callable[[Path], bool] | None = None, *, force: bool = False) -> None:
    """Refuse to write over what the command did not write itself; called before any work is done.

    Args:
        path: The file to write.
        is_own: Returns whether the file that is there is one that the same command writes; None if that cannot be
            told: whatever is there stays.
        force: Write over any regular file, except those of a run.

    Raises:
        UsageError: Something is there: a folder or a device; a file of a run; a file of another kind, or a link,
            without ``force``.
    """
    in_run = is_run(path.parent)
    if not os.path.lexists(path) and not (in_run and path.name in (RUN_MODEL, RUN_RECORD, RUN_STATE)):
        return
    link = path.is_symlink()
    if os.path.exists(path) and not path.is_file():
        what = "a folder" if path.is_dir() else "no regular file"
        raise UsageError(f"{path} is {what}.", hint="Name a file to write.")
    if not link and is_own is not None and is_own(path):
        return
    if in_run:
        raise UsageError(
            f"{path} is a file of the run {path.parent}, which no other command replaces.", hint="Name another file."
        )
    if not force:
        reason = " and is a link" if link else " and is not a file of this kind that tlkit wrote" if is_own else ""
        raise UsageError(
            f"{path} exists{reason}.",
            hint="Name another file, or use --force to overwrite it.",
        )


def is_run(folder: Path) -> bool:
    """Return True for the folder of a run of `tlkit finetune`, finished or not."""
    return all((folder / name).is_file() for name in (RUN_MODEL, RUN_RECORD)) or (folder / RUN_STATE).is_file()


def has_mark(path: Path, mark: str) -> bool:
    """Return True if a file carries the mark of a command near its beginning or its end."""
    try:
        with path.open("rb") as file:
            beginning = file.read(_MARK_BYTES)
            file.seek(max(0, os.fstat(file.fileno()).st_size - _MARK_BYTES))
            return any(mark.encode() in part for part in (beginning, file.read()))
    except OSError:
        return False

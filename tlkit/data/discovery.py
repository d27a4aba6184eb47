"""Find pictures or clips: files, folders and addresses as a person names them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import PurePath

from tlkit.data.modality import Modality
from tlkit.utils.logging import logger
from tlkit.utils.text import did_you_mean


def is_url(text: str) -> bool:
    """True for ``scheme://…`` and ``data:…``; a Windows drive is one letter and is a path."""
    scheme = text.partition(":")[0]
    return "://" in text or (scheme.lower() == "data" and ":" in text)


def is_hidden(name: str) -> bool:
    """Names that systems and tools leave behind: ``.DS_Store``, ``._a.jpg``, ``.ipynb_checkpoints``, ``__MACOSX``."""
    return name.startswith(".") or name == "__MACOSX"


def walk_files(folder: str, modality: Modality) -> Iterator[str]:
    """Paths of the files of a kind below a folder, sorted by name at every level.

    Hidden names are passed over. Symbolic links are followed, but no folder is walked twice. A folder that cannot be
    read is given back as if it were such a file: it fails when it is read, by name.
    """
    seen: set[tuple[int, int]] = set()
    waiting = [(folder, True)]
    while waiting:
        path, is_folder = waiting.pop()
        if not is_folder:
            yield path
            continue
        try:
            status = os.stat(path)
            if (status.st_dev, status.st_ino) in seen:
                logger.warning("%s is a folder that was walked already; it is passed over.", path)
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(path) as entries:
                found = [(entry.name, _is_folder(entry)) for entry in entries if not is_hidden(entry.name)]
        except OSError:
            yield path
            continue
        found = [(name, is_folder) for name, is_folder in found if is_folder or modality.has_name(name)]
        waiting += [(os.path.join(path, name), is_folder) for name, is_folder in sorted(found, reverse=True)]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def expand_inputs(inputs: Iterable[str], modality: Modality) -> list[str]:
    """Files, folders and addresses as one list, in the order given; folders are walked.

    A file that is named is kept whatever its name ends with. What does not exist, and a folder without
    files of the modality, is kept too: it fails when it is read, by name, and the others go on.
    """
    found: list[str] = []
    for item in inputs:
        files: list[str] = []
        if not is_url(item) and os.path.isdir(item):
            files = list(walk_files(item, modality))
        found += files or [item]
    return found


def near_names(path: str) -> str | None:
    """A hint with the names in the same folder that are like ``path``'s, or None."""
    wanted = PurePath(path)
    try:
        names = [name for name in os.listdir(wanted.parent) if not is_hidden(name)]
    except OSError:
        return None
    return did_you_mean(wanted.name, names)

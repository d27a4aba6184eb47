"""Find input files: expand files, folders and URLs to a list."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePath

from tlkit.data.modality import Modality
from tlkit.utils.logging import logger
from tlkit.utils.text import did_you_mean


def is_url(text: str) -> bool:
    """Return True for ``scheme://…`` and ``data:…``; a Windows drive such as ``C:`` is a path."""
    scheme = text.partition(":")[0]
    return "://" in text or (scheme.lower() == "data" and ":" in text)


def is_hidden(name: str) -> bool:
    """Return True for names that systems and tools create, such as ``.DS_Store``, ``._a.jpg`` and ``__MACOSX``."""
    return name.startswith(".") or name == "__MACOSX"


def walk_files(folder: str, modality: Modality) -> Iterator[str]:
    """Yield the paths of all files of a modality below a folder, sorted by name at every level.

    Hidden names are skipped. Symbolic links are followed, but no folder is visited twice. The path of a folder that
    cannot be listed is yielded like a file, so that reading it fails with its name.
    """
    visited: set[tuple[int, int]] = set()
    stack = [(folder, True)]
    while stack:
        path, is_folder = stack.pop()
        if not is_folder:
            yield path
            continue
        try:
            status = os.stat(path)
            if (status.st_dev, status.st_ino) in visited:
                logger.warning("%s links to a folder that was already searched: skipped.", path)
                continue
            visited.add((status.st_dev, status.st_ino))
            with os.scandir(path) as entries:
                children = [(entry.name, _is_folder(entry)) for entry in entries if not is_hidden(entry.name)]
        except OSError:
            yield path
            continue
        children = [(name, is_folder) for name, is_folder in children if is_folder or modality.has_name(name)]
        stack += [(os.path.join(path, name), is_folder) for name, is_folder in sorted(children, reverse=True)]


def folders_in(folder: Path) -> list[Path]:
    """Return the folders in a folder, sorted by name; hidden ones are left out, links are followed."""
    with os.scandir(folder) as entries:
        return sorted(folder / entry.name for entry in entries if not is_hidden(entry.name) and _is_folder(entry))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def expand_inputs(inputs: Iterable[str], modality: Modality) -> list[str]:
    """Expand files, folders and URLs to one list, in the order given; folders are searched recursively.

    A file given by name is included whatever its extension. A missing file, or a folder without files of the
    modality, is included too, so that reading it fails with its name while the other inputs are processed.
    """
    sources: list[str] = []
    for item in inputs:
        files: list[str] = []
        if not is_url(item) and os.path.isdir(item):
            files = list(walk_files(item, modality))
        sources += files or [item]
    return sources


def near_names(path: str) -> str | None:
    """Return a hint with similar names from the folder of ``path``, or None."""
    missing = PurePath(path)
    try:
        names = [name for name in os.listdir(missing.parent) if not is_hidden(name)]
    except OSError:
        return None
    return did_you_mean(missing.name, names)

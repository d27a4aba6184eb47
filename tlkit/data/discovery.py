"""Find input files: expand files, folders and URLs to a list."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from tlkit.data.file_checks import start_of, why_unreadable
from tlkit.data.formats import modality_of, why_not_read
from tlkit.data.modality import IMAGE, Modality
from tlkit.utils.logging import logger, warn_skipped
from tlkit.utils.text import did_you_mean, join_truncated


def is_url(text: str) -> bool:
    """Return True for ``scheme://…`` and ``data:…``; a Windows drive such as ``C:`` is a path."""
    scheme = text.partition(":")[0]
    return "://" in text or (scheme.lower() == "data" and ":" in text)


_FETCHED = {"http", "https", "data", "file"}
"""Schemes of :mod:`tlkit.data.url`, which opens the first two and refuses the others."""


def is_remote(source: str) -> bool:
    """Return True for a URL that a file system opens, such as ``s3://bucket/a.jpg``."""
    return is_url(source) and source.partition(":")[0].lower() not in _FETCHED


STDIN = "-"
"""An input that is read from standard input."""


def is_stream(text: str) -> bool:
    """Return True for an input that is no file: a URL, or standard input."""
    return text == STDIN or is_url(text)


def is_hidden(name: str) -> bool:
    """Return True for names that systems and tools create, such as ``.DS_Store``, ``._a.jpg`` and ``__MACOSX``."""
    return name.startswith(".") or name == "__MACOSX"


def walk_files(folder: str, modality: Modality, left_out: Counter[str] | None = None) -> Iterator[str]:
    """Yield the paths of :func:`search` alone; reading one that cannot be read fails with its name."""
    return (path for path, _ in search(folder, modality, Counter() if left_out is None else left_out))


@dataclass
class LeftOut:
    """What a search passed over.

    Attributes:
        endings: Number of files that are something else, by the end of their names.
        skipped: ``(path, reason)`` of what cannot be read.
    """

    endings: Counter[str] = field(default_factory=Counter)
    skipped: list[tuple[str, str]] = field(default_factory=list)

    def files(self, folder: str, modality: Modality) -> list[str]:
        """Search a folder; return what can be read, and add the rest to this."""
        found = list(search(folder, modality, self.endings))
        self.skipped += [(path, reason) for path, reason in found if reason is not None]
        return [path for path, reason in found if reason is None]

    def why(self) -> str | None:
        """Return a hint that names the first file that cannot be read, and the reason."""
        if not self.skipped:
            return None
        path, reason = self.skipped[0]
        what = f"{path} and {len(self.skipped) - 1:,} more" if len(self.skipped) > 1 else path
        return f"{what} cannot be read: {reason}."

    def report(self, modality: Modality) -> None:
        """Log both."""
        warn_skipped(self.skipped)
        report_left_out(self.endings, modality)


def search(folder: str, modality: Modality, left_out: Counter[str]) -> Iterator[tuple[str, str | None]]:
    """Yield the files of a modality below a folder, sorted by name at every level.

    A file counts by the end of its name, or else by its first bytes. Hidden names are skipped. Symbolic links are
    followed, but no folder is visited twice.

    Args:
        folder: Where to search.
        modality: What to search for.
        left_out: Counts the files that are something else, by the end of their names.

    Yields:
        ``(path, None)`` of a file; ``(path, reason)`` of a folder that cannot be listed, and of an image of a format
        that cannot be read.
    """
    visited: set[tuple[int, int]] = set()
    stack = [(folder, True)]
    while stack:
        path, is_folder = stack.pop()
        if not is_folder:
            if modality.has_name(path):
                yield path, None
                continue
            found, reason = _look_inside(path, modality)
            if found:
                yield path, reason
            else:
                left_out[os.path.splitext(path)[1].lower()] += 1
            continue
        try:
            status = os.stat(path)
            if (status.st_dev, status.st_ino) in visited:
                logger.warning("%s links to a folder that was already searched: skipped.", path)
                continue
            visited.add((status.st_dev, status.st_ino))
            with os.scandir(path) as entries:
                children = [(entry.name, _is_folder(entry)) for entry in entries if not is_hidden(entry.name)]
        except OSError as error:
            yield path, f"the folder cannot be read ({why_unreadable(error)})"
            continue
        stack += [(os.path.join(path, name), is_folder) for name, is_folder in sorted(children, reverse=True)]


def folders_in(folder: Path) -> list[Path]:
    """Return the folders in a folder, sorted by name; hidden ones are left out, links are followed."""
    with os.scandir(folder) as entries:
        return sorted(folder / entry.name for entry in entries if not is_hidden(entry.name) and _is_folder(entry))


def _look_inside(path: str, modality: Modality) -> tuple[bool, str | None]:
    """Return whether a file of another name is of a modality, and why it cannot be read."""
    try:
        start = start_of(path) if os.path.isfile(path) else b""
    except OSError:
        start = b""
    reason = why_not_read(start, path) if modality is IMAGE else None
    return reason is not None or modality_of(start) is modality, reason


def report_left_out(left_out: Mapping[str, int], modality: Modality) -> None:
    """Log how many files of which endings were left out of a search."""
    if not left_out:
        return
    counts = sorted(left_out.items(), key=lambda item: (-item[1], item[0]))
    shown = join_truncated(f"{count:,} {ending or 'without an ending'}" for ending, count in counts)
    logger.info("Left out, not %s: %s.", modality.plural, shown)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def expand_inputs(inputs: Iterable[str], modality: Modality, left_out: Counter[str] | None = None) -> list[str]:
    """Expand files, folders and URLs to one list, in the order given; folders are searched recursively.

    A file given by name is included whatever it holds. A missing file, an image or a folder that cannot be read, or a
    folder without files of the modality, is included too, so that reading it fails with its name while the other
    inputs are processed.

    Args:
        inputs: Files, folders (also ``s3://bucket/folder/``), URLs, lists of them (``.parquet``), tar files of images,
            also as ``shard-{000..999}.tar``, or ``-`` for standard input.
        modality: What folders are searched for.
        left_out: Counts the files in folders that are something else, by the end of their names.

    Raises:
        DataError: A list or a tar file cannot be read.
    """
    sources: list[str] = []
    for item in inputs:
        sources += _files_of(item, modality, left_out) or [item]
    return sources


def _files_of(item: str, modality: Modality, left_out: Counter[str] | None) -> list[str]:
    """Return the files that a folder, a list or a tar file stands for; empty for anything else."""
    if is_remote(item):
        from tlkit.data.remote import list_remote

        return list_remote(item, modality, Counter() if left_out is None else left_out)
    if is_stream(item):
        return []
    if os.path.isdir(item):
        return list(walk_files(item, modality, left_out))
    if item.lower().endswith(".parquet") and os.path.isfile(item):
        from tlkit.data.tables import listed_images

        return listed_images(Path(item))
    if item.lower().endswith(".tar"):
        from tlkit.data.shards import files_in, shards_of

        return [file for shard in shards_of(item) for file in files_in(shard, modality)]
    return []


def near_names(path: str) -> str | None:
    """Return a hint with similar names from the folder of ``path``, or None."""
    missing = PurePath(path)
    try:
        names = [name for name in os.listdir(missing.parent) if not is_hidden(name)]
    except OSError:
        return None
    return did_you_mean(missing.name, names)

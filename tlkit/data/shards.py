"""Shards: tar files of samples, as WebDataset writes them, read where they are and never unpacked.

The files of a sample have the name up to its first point in common: ``0001.jpg``, and ``0001.cls`` with its label.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence

from tlkit.data.discovery import LeftOut, is_hidden
from tlkit.data.labelled_files import ClassFiles, LabelledFiles
from tlkit.data.layout import TRAIN
from tlkit.data.modality import Modality
from tlkit.data.tar_members import ENDING, members, read_members
from tlkit.errors import DataError

_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")
_LABEL, _LONGEST = ".cls", 1000
"""How the name of a label ends, and its bytes at most."""


def shards_of(data: str) -> list[str]:
    """Return the shards that a pattern such as ``shard-{000..999}.tar`` or a tar file is; empty for anything else.

    Raises:
        DataError: One is not there.
    """
    if not data.lower().endswith(ENDING):
        return []
    found = _RANGE.search(data)
    if found is None or os.path.exists(data):
        return [data] if os.path.isfile(data) else []
    first, last = found[1], found[2]
    shards = [
        f"{data[: found.start()]}{number:0{len(first)}d}{data[found.end() :]}"
        for number in range(int(first), int(last) + 1)
    ]
    lacking = [shard for shard in shards if not os.path.isfile(shard)]
    if lacking or not shards:
        raise DataError(
            f"{data}: there is no file {lacking[0]}." if lacking else f"{data} counts from {first} to {last}.",
            hint=f"Found {len(shards) - len(lacking):,} of {len(shards):,} shards." if shards else None,
        )
    return shards


def has_labels(shard: str) -> bool:
    """Return True if a file is a tar file that holds samples with labels."""
    try:
        return any(name.endswith(_LABEL) for name in members(shard))
    except DataError:
        return False


def files_in(shard: str, modality: Modality) -> list[str]:
    """Return the paths of the files of a modality in a shard, in its order.

    Raises:
        DataError: It cannot be read.
    """
    return [f"{shard}/{name}" for name in members(shard) if modality.has_name(name) and not _is_hidden(name)]


def scan_shards(shards: Sequence[str], modality: Modality) -> LabelledFiles:
    """Find the files of samples by their labels; no other file is read.

    Raises:
        DataError: A shard cannot be read, or no sample has a label.
    """
    found: ClassFiles = defaultdict(list)
    left_out = LeftOut()
    for shard in shards:
        labels = dict(_labels(shard))
        for path in files_in(shard, modality):
            label = labels.get(_key(path.removeprefix(f"{shard}/")))
            if label:
                found[label].append(path)
            else:
                left_out.skipped.append((path, f"it has no {_LABEL} with a label"))
    if not found:
        raise DataError(
            f"No {modality.singular} in {shards[0]} has a label.",
            hint=f"Beside 0001.jpg there is 0001{_LABEL}, which holds its label.",
        )
    root = os.path.dirname(shards[0]) or "."
    return LabelledFiles(root, {TRAIN: {name: found[name] for name in sorted(found)}}, left_out, {}, [])


def _labels(shard: str) -> Iterator[tuple[str, str]]:
    inside = members(shard)
    names = [name for name in inside if name.endswith(_LABEL)]
    for name, data in zip(names, read_members(shard, (inside[name] for name in names)), strict=True):
        yield _key(name), data[:_LONGEST].decode("utf-8", "replace").strip()


def _key(name: str) -> str:
    folder, slash, last = name.rpartition("/")
    return f"{folder}{slash}{last.partition('.')[0]}"


def _is_hidden(name: str) -> bool:
    return any(map(is_hidden, name.split("/")))

"""Digests of data files, and what it means where files are equal byte for byte."""

from __future__ import annotations

import hashlib
import os
import stat
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from itertools import combinations
from typing import Any, NamedTuple

from tlkit.data.discovery import is_url
from tlkit.data.modality import Modality
from tlkit.data.tar_members import Place, find_member, read_members
from tlkit.errors import DataError
from tlkit.utils.findings import same_version
from tlkit.utils.known_digests import KnownDigests, known_key
from tlkit.utils.logging import progress_bar
from tlkit.utils.processors import decode_threads
from tlkit.utils.text import pluralize

_AHEAD, _TOGETHER = 4096, 16
"""Tasks that wait at a time, and files of each."""
_SMALL = 2**20
"""Bytes that are read at once."""
_EMPTY = hashlib.sha256().digest()
_EXAMPLES = 3

Digest = bytes | None
"""SHA-256 of a file's bytes; None where it cannot be read."""


def file_digests(sources: Sequence[str], modality: Modality) -> list[Digest]:
    """Compute the SHA-256 of every file's bytes, in order; None for URLs and for files that cannot be read.

    Files that did not change since they were hashed last are not read again (:mod:`tlkit.utils.known_digests`).
    """
    with (
        KnownDigests() as known,
        ThreadPoolExecutor(decode_threads()) as pool,
        progress_bar(total=len(sources), unit="file", description="hashing files") as bar,
    ):
        digests: list[Digest] = []
        parts = [sources[start : start + _TOGETHER] for start in range(0, len(sources), _TOGETHER)]
        for start in range(0, len(parts), _AHEAD):  # a future takes a kilobyte, and as long as a small file
            for found in pool.map(partial(_digest_each, known, modality.max_bytes), parts[start : start + _AHEAD]):
                digests += found
                bar.update(len(found))
            known.save()
    return digests


class _Found(NamedTuple):
    """Where the bytes of a file are: its path and status, and the place of those of a part of it."""

    path: str
    status: os.stat_result
    place: Place | None

    @property
    def size(self) -> int:
        return self.status.st_size if self.place is None else self.place.size

    @property
    def key(self) -> bytes | None:
        return known_key(self.path, self.status, self.place or ())

    def is_unchanged(self) -> bool:
        return same_version(self.status, os.stat(self.path))


def _digest_each(known: KnownDigests, max_bytes: int, sources: Sequence[str]) -> list[Digest]:
    places = [_find(source) for source in sources]
    found = [None if place is None or place.size > max_bytes else place for place in places]
    keys = [place and place.key for place in found]
    recalled = known.recall(keys)
    digests: list[Digest] = []
    for place, key in zip(found, keys, strict=True):
        digest = recalled.get(key) if key else None
        if place is not None and digest is None:
            with suppress(OSError):
                digest = _digest(place)
                if key and digest and place.is_unchanged():
                    known.remember(key, digest)
        digests.append(digest)
    return digests


def _find(source: str) -> _Found | None:
    """Return where the bytes of a file are; None for URLs, and where it cannot be read."""
    if is_url(source):
        return None
    try:
        try:
            status = os.stat(source)
        except NotADirectoryError:  # a part of the path is a file: perhaps a tar file
            member = find_member(source)
            return member and _Found(member[0], os.stat(member[0]), member[1])
        return _Found(source, status, None) if stat.S_ISREG(status.st_mode) else None
    except (OSError, DataError):
        return None


def _digest(found: _Found) -> Digest:
    if found.place is not None:
        (data,) = read_members(found.path, [found.place])
        return hashlib.sha256(data).digest() if len(data) == found.size else None
    with open(found.path, "rb", buffering=0) as file:
        if found.size > _SMALL:
            return hashlib.file_digest(file, "sha256").digest()
        return hashlib.sha256(file.read()).digest()


def repeated(digests: Iterable[Digest]) -> set[bytes]:
    """Return the digests that occur more than once; empty files are not copies of each other."""
    seen: set[bytes] = set()
    again: set[bytes] = set()
    for digest in digests:
        if digest is not None and digest != _EMPTY:
            (again if digest in seen else seen).add(digest)
    return again


def describe_copies(
    root: str | os.PathLike[str],
    by_split: Mapping[str, Mapping[Any, Sequence[str]]],
    digest_of: Mapping[str, bytes] | Mapping[str, Digest],
    modality: Modality,
) -> list[str]:
    """Describe equal files that make numbers wrong: those in two splits, and those under two classes.

    Args:
        root: The data folder; examples are named relative to it.
        by_split: Files by split and class.
        digest_of: Digest of each file.
        modality: Of the files.

    Returns:
        A warning for each two splits that share files and one for shared classes, with numbers and examples.
    """
    again = repeated(digest_of.values())
    copies: dict[bytes, list[tuple[str, Any, str]]] = defaultdict(list)
    for split, found in by_split.items():
        for name, files in found.items():
            for file in files:
                digest = digest_of.get(file)
                if digest is not None and digest in again:
                    copies[digest].append((split, name, os.path.relpath(file, root)))
    warnings = []
    for first, second in combinations(by_split, 2):
        pairs = [
            (file, next(other for split, _, other in places if split == first))
            for places in copies.values()
            for split, _, file in places
            if split == second and any(split == first for split, *_ in places)
        ]
        if pairs:
            number = pluralize(sum(map(len, by_split[second].values())), f"{second} {modality.singular}")
            warnings.append(
                f"{len(pairs):,} of {number} {'is' if len(pairs) == 1 else 'are'} also in {first}, byte for byte: the "
                f"{second} accuracy is too optimistic. {_examples(pairs)}"
            )
    pairs = [
        (places[0][2], next(file for _, name, file in places if name != places[0][1]))
        for places in copies.values()
        if len({name for _, name, _ in places}) > 1
    ]
    if pairs:
        warnings.append(
            f"{pluralize(len(pairs), modality.singular)} {'is' if len(pairs) == 1 else 'are'} under two classes, byte "
            f"for byte: at most one label is right. {_examples(pairs)}"
        )
    return warnings


def _examples(pairs: Sequence[tuple[str, str]]) -> str:
    shown = first_paths(f"{file} = {other}" for file, other in sorted(pairs))
    return f"{'Copy' if len(pairs) == 1 else 'Copies'}: {shown}."


def first_paths(paths: Iterable[str]) -> str:
    """Join the first paths whole, in run.json too, and count the others: half a path leads nowhere."""
    found = list(paths)
    more = f" and {len(found) - _EXAMPLES:,} more" if len(found) > _EXAMPLES else ""
    return f"{', '.join(found[:_EXAMPLES])}{more}"

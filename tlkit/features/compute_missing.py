"""The resumable loop: compute what a store does not have yet, and say where every picture's row is."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np

from tlkit.data.batches import Batch
from tlkit.data.discovery import is_url
from tlkit.data.modality import Modality
from tlkit.data.preprocessor import Preprocessor
from tlkit.features.store import FeatureStore
from tlkit.inference.base import Engine
from tlkit.inference.loop import forward
from tlkit.utils.logging import logger, progress_bar
from tlkit.utils.processors import usable_processors

_AHEAD = 4096


@dataclass(frozen=True)
class FillResult:
    """Where the rows are.

    Attributes:
        positions: ``(pictures,)`` where each picture that has rows stands in the list of sources.
        rows: For each store ``(pictures, variants)``: the numbers of its rows there.
        digests: ``(pictures,)`` of the pictures' bytes.
        failed: ``(position, reason)`` of the pictures that have no row.
        computed: How many rows were computed now.
    """

    positions: np.ndarray
    rows: tuple[np.ndarray, ...]
    digests: tuple[bytes, ...]
    failed: tuple[tuple[int, str], ...]
    computed: int


class AugmentedVariants(Protocol):
    """Variants of a picture, each with a row of its own."""

    @property
    def count(self) -> int:
        """How many a picture."""
        ...

    @property
    def provenance(self) -> Mapping[str, Any]:
        """What determines them besides the image, as JSON values."""
        ...

    def make(self, pixels: np.ndarray, digest: bytes, variant: int) -> np.ndarray:
        """Variant ``variant`` of pixels ``(height, width, channels)`` uint8 of a file with this digest."""
        ...


def fill(
    sources: Sequence[str],
    stores: Sequence[FeatureStore],
    engine: Callable[[Sequence[int]], Engine],
    *,
    preprocessor: Preprocessor,
    outputs: Sequence[int] = (1,),
    batch_size: int | None = None,
    description: str,
    known: Sequence[bytes | None] | None = None,
    copies: AugmentedVariants | None = None,
) -> FillResult:
    """Have a row in every store for every picture that can be read.

    A row is known by the bytes of its picture, so pictures that moved, or that another set has, are found.

    Args:
        sources: Files and addresses.
        stores: Where rows are and go; this process may append.
        engine: Makes the engine for the stores that lack something, by number; called only when there are any.
        preprocessor: How a picture becomes an input.
        outputs: How many outputs go into each store.
        batch_size: Pictures at a time; None for the engine's own number.
        description: What the progress bar says.
        known: The digests of the sources where they were computed before.
        copies: Variants to compute of each picture instead of the picture itself.
    """
    variants = copies.count if copies else 1
    digests = [
        digest
        for digest in (file_digests(sources, preprocessor.modality) if known is None else known)
        for _ in range(variants)
    ]
    names = [_name(digest, copies, place % variants) for place, digest in enumerate(digests)]
    missing: list[int] = []
    waiting: set[bytes] = set()
    for place, name in enumerate(names):
        if name is None or (name not in waiting and not _in_all(stores, name)):
            missing.append(place)
        if name is not None:
            waiting.add(name)
    failed: dict[int, str] = {}
    computed = 0
    if missing:
        there = sum(_in_all(stores, name) for name in names if name is not None)
        if there:
            logger.info("%s: %s of %s are there already.", description, f"{there:,}", f"{len(names):,}")
        lacking = [
            number
            for number, store in enumerate(stores)
            if any((name := names[place]) is None or name not in store.rows for place in missing)
        ]
        ready = engine(lacking)
        for batch in forward(
            [sources[place // variants] for place in missing],
            ready,
            preprocessor=preprocessor,
            batch_size=batch_size or ready.batch,
            description=description,
            digests=True,
            change=_change(copies, missing) if copies else None,
        ):
            places = [missing[position] for position in batch.positions]
            for place, found in zip(places, batch.digests, strict=True):
                digests[place] = found  # of the very bytes that were decoded
                names[place] = _name(found, copies, place % variants)
            if places:
                rows = [name for place in places if (name := names[place]) is not None]
                first = 0
                for number in lacking:
                    stores[number].append(rows, batch.outputs[first : first + outputs[number]])
                    first += outputs[number]
            computed += len(places)
            failed.update({missing[position]: reason for position, reason in batch.failed})
        for store in stores:
            store.sync()
    bad = {digests[place]: reason for place, reason in failed.items() if digests[place] is not None}
    for place, name in enumerate(names):
        if place not in failed and (name is None or not _in_all(stores, name)):  # the same bytes as one that failed
            failed[place] = bad.get(digests[place], "it changed while it was read")
    reasons = {place // variants: reason for place, reason in sorted(failed.items(), reverse=True)}
    kept = [position for position in range(len(sources)) if position not in reasons]
    rows_of = tuple(
        np.array(
            [[store.rows[names[position * variants + variant]] for variant in range(variants)] for position in kept],  # type: ignore[index]
            np.int64,
        ).reshape(len(kept), variants)
        for store in stores
    )
    return FillResult(
        np.array(kept, np.int64),
        rows_of,
        tuple(digest for position in kept if (digest := digests[position * variants]) is not None),
        tuple(sorted(reasons.items())),
        computed,
    )


def _name(digest: bytes | None, copies: AugmentedVariants | None, variant: int) -> bytes | None:
    """What a row is known by."""
    if digest is None or copies is None:
        return digest
    return hashlib.sha256(digest + variant.to_bytes(4, "big")).digest()


def _in_all(stores: Sequence[FeatureStore], name: bytes) -> bool:
    return all(name in store.rows for store in stores)


def _change(copies: AugmentedVariants, missing: Sequence[int]) -> Callable[[Batch], np.ndarray]:
    """Makes of the pixels of a batch the variants that are missing."""

    def change(batch: Batch) -> np.ndarray:
        made = [
            copies.make(pixels, digest, missing[position] % copies.count)
            for pixels, digest, position in zip(batch.array, batch.digests, batch.positions, strict=True)
        ]
        return np.stack(made) if made else batch.array

    return change


def file_digests(sources: Sequence[str], modality: Modality) -> list[bytes | None]:
    """SHA-256 of every file's bytes, in order; None for addresses and for what cannot be read."""
    with (
        ThreadPoolExecutor(max(2, usable_processors())) as pool,
        progress_bar(total=len(sources), unit="file", description="looking at files") as bar,
    ):
        found: list[bytes | None] = []
        for start in range(0, len(sources), _AHEAD):  # a million futures at once would take a gigabyte
            for digest in pool.map(partial(_digest, modality.max_bytes), sources[start : start + _AHEAD]):
                found.append(digest)
                bar.update(1)
    return found


def _digest(most: int, source: str) -> bytes | None:
    if is_url(source) or not os.path.isfile(source):
        return None
    try:
        with open(source, "rb") as file:
            if os.fstat(file.fileno()).st_size > most:
                return None
            return hashlib.file_digest(file, "sha256").digest()
    except OSError:
        return None

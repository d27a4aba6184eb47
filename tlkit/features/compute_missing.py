"""Which feature vectors a store lacks, and where those of each image are: what the extractor computes is decided here.

A row of a store is keyed by the SHA-256 of the image bytes, so images that were moved or duplicated are not recomputed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from tlkit.data.batches import Batch
from tlkit.features.store import FeatureStore


@dataclass(frozen=True)
class FillResult:
    """Where the feature vectors of a list of files are.

    Attributes:
        positions: ``(images,)`` int64, positions in the list of the files that have rows.
        rows: For each store ``(images, variants)`` int64, the numbers of their rows.
        digests: ``(images,)`` SHA-256 of their bytes.
        failed: ``(position, reason)`` of the files without a row.
        computed: Number of rows computed now.
    """

    positions: np.ndarray
    rows: tuple[np.ndarray, ...]
    digests: tuple[bytes, ...]
    failed: tuple[tuple[int, str], ...]
    computed: int


class AugmentedVariants(Protocol):
    """Augmented versions of an image, each with a row of its own."""

    @property
    def count(self) -> int:
        """Number of variants per image."""
        ...

    @property
    def provenance(self) -> Mapping[str, Any]:
        """What decides them besides the image, as JSON values."""
        ...

    def make(self, pixels: np.ndarray, digest: bytes, variant: int) -> np.ndarray:
        """Return a variant of ``(height, width, channels)`` uint8 pixels of the file with this digest."""
        ...


def row_key(digest: bytes | None, variants: AugmentedVariants | None, variant: int) -> bytes | None:
    """Return the key of a row: the digest of the file, hashed with the number of the variant."""
    if digest is None or variants is None:
        return digest
    return hashlib.sha256(digest + variant.to_bytes(4, "big")).digest()


def missing_rows(keys: Sequence[bytes | None], stores: Sequence[FeatureStore]) -> list[int]:
    """Return the positions of the rows to compute: those that a store lacks, each key once, and those not yet keyed."""
    missing: list[int] = []
    seen: set[bytes] = set()
    for place, key in enumerate(keys):
        if key is None or (key not in seen and not in_all(stores, key)):
            missing.append(place)
        if key is not None:
            seen.add(key)
    return missing


def in_all(stores: Sequence[FeatureStore], key: bytes | None) -> bool:
    """Return True when every store has a row of this key."""
    return key is not None and all(key in store.rows for store in stores)


def locate_rows(
    digests: Sequence[bytes | None],
    keys: Sequence[bytes | None],
    failed: Mapping[int, str],
    stores: Sequence[FeatureStore],
    *,
    variants: int,
    computed: int,
) -> FillResult:
    """Find the rows of every file, and the reason where one has none.

    Args:
        digests: ``(files · variants,)`` of each row's file.
        keys: ``(files · variants,)`` of each row.
        failed: Reasons by position among the rows.
        stores: Where the rows are.
        variants: Rows per file.
        computed: Number of rows computed now.
    """
    reasons = dict(failed)
    by_digest = {digests[place]: reason for place, reason in failed.items() if digests[place] is not None}
    for place, key in enumerate(keys):
        if place not in reasons and not in_all(stores, key):  # the same bytes as a file that failed
            reasons[place] = by_digest.get(digests[place], "it changed while it was read")
    by_file = {place // variants: reason for place, reason in sorted(reasons.items(), reverse=True)}
    positions = [position for position in range(len(keys) // variants) if position not in by_file]
    places = [[position * variants + variant for variant in range(variants)] for position in positions]
    rows = tuple(
        np.array([[store.rows[keys[place] or b""] for place in row] for row in places], np.int64).reshape(-1, variants)
        for store in stores
    )
    return FillResult(
        np.array(positions, np.int64),
        rows,
        tuple(digests[position * variants] or b"" for position in positions),
        tuple(sorted(by_file.items())),
        computed,
    )


def augment_batch(batch: Batch, variants: AugmentedVariants, places: Sequence[int]) -> np.ndarray:
    """Replace the pixels of a batch by the variants that are missing.

    Args:
        batch: Decoded images with their digests.
        variants: Makes the variants.
        places: Position among the rows of each file of the list that the batch was read from.
    """
    made = [
        variants.make(pixels, digest, places[position] % variants.count)
        for pixels, digest, position in zip(batch.array, batch.digests, batch.positions, strict=True)
    ]
    return np.stack(made) if made else batch.array

"""The resumable loop: compute what a store does not have yet, and say where every picture's row is."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from tlkit.engines.engine import Engine
from tlkit.features.forward import forward
from tlkit.features.store import RowStore
from tlkit.images.batches import Look
from tlkit.images.decode import MAX_BYTES
from tlkit.images.scan import is_address
from tlkit.progress import logger, progress_bar

_AHEAD = 4096


@dataclass(frozen=True)
class Filled:
    """Where the rows are.

    Attributes:
        positions: ``(rows,)`` where each row stands in the list of sources.
        rows: ``(rows,)`` its number in the store.
        digests: ``(rows,)`` of the pictures' bytes.
        failed: ``(position, reason)`` of the pictures that have no row.
        computed: How many rows were computed now.
    """

    positions: np.ndarray
    rows: np.ndarray
    digests: tuple[bytes, ...]
    failed: tuple[tuple[int, str], ...]
    computed: int


def fill(
    sources: Sequence[str],
    store: RowStore,
    engine: Callable[[], Engine],
    *,
    look: Look,
    batch_size: int | None = None,
    description: str,
    known: Sequence[bytes | None] | None = None,
) -> Filled:
    """Have a row in ``store`` for every picture that can be read.

    A row is known by the bytes of its picture, so pictures that moved, or that another set has, are found.

    Args:
        sources: Files and addresses.
        store: Where rows are and go; this process may append.
        engine: Makes the engine; called only when something is missing.
        look: How a picture becomes an input.
        batch_size: Pictures at a time; None for the engine's own number.
        description: What the progress bar says.
        known: The digests of the sources where they were computed before.
    """
    digests = list(file_digests(sources) if known is None else known)
    missing: list[int] = []
    waiting: set[bytes] = set()
    for position, digest in enumerate(digests):
        if digest is None or (digest not in store.rows and digest not in waiting):
            missing.append(position)
        if digest is not None:
            waiting.add(digest)
    failed: dict[int, str] = {}
    computed = 0
    if missing:
        there = sum(digest in store.rows for digest in digests if digest is not None)
        if there:
            logger.info("%s: %s of %s are there already.", description, f"{there:,}", f"{len(sources):,}")
        chosen = [sources[position] for position in missing]
        ready = engine()
        for batch in forward(
            chosen,
            ready,
            look=look,
            batch_size=batch_size or ready.batch,
            description=description,
            digests=True,
        ):
            if batch.positions:
                store.append(batch.digests, batch.outputs)
            computed += len(batch.positions)
            for place, digest in zip(batch.positions, batch.digests, strict=True):
                digests[missing[place]] = digest  # of the very bytes that were decoded
            failed.update({missing[place]: reason for place, reason in batch.failed})
        store.sync()
    bad = {digests[position]: reason for position, reason in failed.items() if digests[position] is not None}
    for position, digest in enumerate(digests):
        if position not in failed and digest not in store.rows:  # the same bytes as one that failed
            failed[position] = bad.get(digest, "it changed while it was read")
    kept = [position for position in range(len(sources)) if position not in failed]
    names = tuple(digest for position in kept if (digest := digests[position]) is not None)
    return Filled(
        np.array(kept, np.int64),
        np.array([store.rows[name] for name in names], np.int64),
        names,
        tuple(sorted(failed.items())),
        computed,
    )


def file_digests(sources: Sequence[str]) -> list[bytes | None]:
    """SHA-256 of every file's bytes, in order; None for addresses and for what cannot be read."""
    with (
        ThreadPoolExecutor(max(2, os.cpu_count() or 1)) as pool,
        progress_bar(total=len(sources), unit="file", description="looking at files") as bar,
    ):
        found: list[bytes | None] = []
        for start in range(0, len(sources), _AHEAD):  # a million futures at once would take a gigabyte
            for digest in pool.map(_digest, sources[start : start + _AHEAD]):
                found.append(digest)
                bar.update(1)
    return found


def _digest(source: str) -> bytes | None:
    if is_address(source) or not os.path.isfile(source):
        return None
    try:
        with open(source, "rb") as file:
            if os.fstat(file.fileno()).st_size > MAX_BYTES:
                return None
            return hashlib.file_digest(file, "sha256").digest()
    except OSError:
        return None

"""Pictures through a network, batch by batch: decoding and computing overlap, order is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from tlkit.images.batches import Look, read_batches
from tlkit.progress import progress_bar

Engine = Callable[[np.ndarray], np.ndarray]
"""float32 inputs ``(rows, height, width, 3)`` to outputs ``(rows, …)``."""


@dataclass(frozen=True)
class ForwardBatch:
    """What the network says of consecutive pictures.

    Attributes:
        positions: Where each row stands in the list of sources.
        outputs: ``(rows, …)`` float32.
        failed: ``(position, reason)`` of pictures that could not be read.
        pictures: The pictures themselves, reduced, where they were asked for.
    """

    positions: tuple[int, ...]
    outputs: np.ndarray
    failed: tuple[tuple[int, str], ...]
    pictures: tuple[Image.Image, ...] = ()


def forward(
    sources: Sequence[str],
    engine: Engine,
    *,
    look: Look,
    batch_size: int,
    description: str,
    keep_pictures: int = 0,
) -> Iterator[ForwardBatch]:
    """Run pictures through an engine.

    Args:
        sources: Files and addresses.
        engine: The network.
        look: How a picture becomes an input.
        batch_size: Rows at a time.
        description: What the progress bar says.
        keep_pictures: Also give back this many of the first pictures, reduced.
    """
    with progress_bar(total=len(sources), unit="image", description=description) as bar:
        for batch in read_batches(sources, look, batch_size, keep_pictures=keep_pictures):
            if len(batch.positions):
                outputs = engine(look.inputs(batch.pixels))
            else:
                outputs = np.empty((0,), np.float32)
            bar.update(len(batch.positions) + len(batch.failed))
            yield ForwardBatch(batch.positions, outputs, batch.failed, batch.pictures)


@dataclass(frozen=True)
class FeatureSet:
    """What one layer says of a list of pictures.

    Attributes:
        features: ``(rows, …)`` float32.
        positions: ``(rows,)`` where each row stands in the list of sources.
        failed: ``(position, reason)`` of the pictures that have no row.
    """

    features: np.ndarray
    positions: np.ndarray
    failed: tuple[tuple[int, str], ...]


def compute_features(
    sources: Sequence[str], engine: Engine, *, look: Look, batch_size: int, description: str
) -> FeatureSet:
    """Features of all pictures in memory; the arguments are those of :func:`forward`."""
    batches = list(forward(sources, engine, look=look, batch_size=batch_size, description=description))
    rows = [batch.outputs for batch in batches if batch.positions]
    return FeatureSet(
        np.concatenate(rows) if rows else np.empty((0,), np.float32),
        np.array([position for batch in batches for position in batch.positions], np.int64),
        tuple(failure for batch in batches for failure in batch.failed),
    )

"""Pictures through a network, batch by batch: decoding and computing overlap, order is kept."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

import numpy as np
from PIL import Image

from tlkit.data.batches import Batch, read_batches
from tlkit.data.preprocessor import Preprocessor
from tlkit.errors import WeightsError
from tlkit.inference.base import Engine, Outputs
from tlkit.utils.logging import progress_bar


@dataclass(frozen=True)
class ForwardBatch:
    """What the network says of consecutive pictures.

    Attributes:
        positions: Where each row stands in the list of sources.
        outputs: One array an output, ``(rows, …)`` float32.
        failed: ``(position, reason)`` of pictures that could not be read.
        digests: Of the bytes of each row's file, where they were asked for.
        thumbnails: Of the first images, where they were asked for.
    """

    positions: tuple[int, ...]
    outputs: Outputs
    failed: tuple[tuple[int, str], ...]
    digests: tuple[bytes, ...] = ()
    thumbnails: tuple[Image.Image, ...] = ()


def forward(
    sources: Sequence[str],
    engine: Engine,
    *,
    preprocessor: Preprocessor,
    batch_size: int,
    description: str,
    thumbnails: int = 0,
    digests: bool = False,
    change: Callable[[Batch], np.ndarray] | None = None,
) -> Iterator[ForwardBatch]:
    """Run pictures through an engine; while one batch is computed, the next is decoded and started.

    Args:
        sources: Files and addresses.
        engine: The network.
        preprocessor: How a picture becomes an input.
        batch_size: Rows at a time.
        description: What the progress bar says.
        thumbnails: Also return thumbnails of this many of the first images.
        digests: Also give back the digests of the files.
        change: Gives other pixels for a batch, of the same shape.

    Raises:
        WeightsError: The network says something that is no number.
    """
    started: deque[tuple[Batch, Future[Outputs]]] = deque()

    with progress_bar(total=len(sources), unit=preprocessor.modality.singular, description=description) as bar:

        def finish() -> ForwardBatch:
            batch, future = started.popleft()
            outputs = future.result()
            if not all(np.isfinite(output).all() for output in outputs):
                raise WeightsError("The network's output is not a number: its weights are damaged.")
            bar.update(len(batch.positions) + len(batch.failed))
            return ForwardBatch(batch.positions, outputs, batch.failed, batch.digests, batch.thumbnails)

        for batch in read_batches(sources, preprocessor, batch_size, thumbnails=thumbnails, digests=digests):
            started.append((batch, engine.submit(change(batch) if change else batch.array)))
            if len(started) > 1:
                yield finish()
        while started:
            yield finish()

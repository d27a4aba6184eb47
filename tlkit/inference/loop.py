"""Images through a network, batch by batch, in order: the next batch is decoded while one is computed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

import numpy as np
from PIL import Image

from tlkit.data.batches import Batch, decoding
from tlkit.data.preprocessor import Preprocessor
from tlkit.errors import WeightsError
from tlkit.inference.base import Engine, Outputs
from tlkit.utils.logging import progress_bar


@dataclass(frozen=True)
class ForwardBatch:
    """The outputs of a network for consecutive images (or audio clips).

    Attributes:
        positions: Index in the list of sources, for each sample.
        outputs: One array per output, ``(samples, …)`` float32.
        failed: ``(position, reason)`` of sources that could not be read.
        digests: SHA-256 of each sample's file, if requested.
        thumbnails: Reduced images, if requested.
    """

    positions: tuple[int, ...]
    outputs: Outputs
    failed: tuple[tuple[int, str], ...]
    digests: tuple[bytes, ...] = ()
    thumbnails: tuple[Image.Image, ...] = ()


def forward(
    sources: Sequence[str],
    open_engine: Callable[[], Engine],
    *,
    preprocessor: Preprocessor,
    batch_size: int | None,
    description: str,
    thumbnails: int = 0,
    digests: bool = False,
    transform: Callable[[Batch], np.ndarray] | None = None,
) -> Iterator[ForwardBatch]:
    """Run a network on files and URLs. The first of them are decoded while the network is made ready.

    Args:
        sources: Files and URLs.
        open_engine: Makes the network ready.
        preprocessor: From a file to the input of the network.
        batch_size: Samples per batch; None for the engine's own number.
        description: Label of the progress bar.
        thumbnails: Return thumbnails of this many of the first sources.
        digests: Return the digests of the files.
        transform: Replaces the pixels of a batch by others of the same shape.

    Yields:
        Batches in the order of ``sources``; each source is in exactly one, as a sample or as a failure.

    Raises:
        WeightsError: An output is not finite.
    """
    started: deque[tuple[Batch, Future[Outputs]]] = deque()

    def show_downloads(number: int) -> None:
        bar.set_postfix_str(f"{number} downloaded")

    with (
        progress_bar(total=len(sources), unit=preprocessor.modality.singular, description=description) as bar,
        decoding(sources, preprocessor, thumbnails=thumbnails, digests=digests, on_download=show_downloads) as batches,
    ):
        engine = open_engine()

        def finish() -> ForwardBatch:
            batch, future = started.popleft()
            outputs = future.result()
            if not all(np.isfinite(output).all() for output in outputs):
                raise WeightsError("The network's output is not finite (NaN or infinity): its weights are damaged.")
            bar.update(len(batch.positions) + len(batch.failed))
            return ForwardBatch(batch.positions, outputs, batch.failed, batch.digests, batch.thumbnails)

        for batch in batches(batch_size or engine.batch):
            started.append((batch, engine.submit(transform(batch) if transform else batch.array)))
            if len(started) > 1:
                yield finish()
        while started:
            yield finish()

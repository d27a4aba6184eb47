"""Read files as batches of arrays: decoded by threads ahead of the network, in order, with failures by name."""

from __future__ import annotations

import itertools
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from tlkit.data.discovery import is_remote, is_url
from tlkit.data.memory import claims
from tlkit.data.preprocessor import Preprocessor
from tlkit.errors import InputError
from tlkit.utils.processors import decode_threads


@dataclass(frozen=True)
class Batch:
    """Consecutive inputs.

    Attributes:
        positions: Index of each sample in the list of sources.
        array: ``(len(positions), height, width, channels)``, of the preprocessor's dtype.
        failed: ``(position, reason)`` of the sources among them that cannot be read.
        thumbnails: Of the samples for which they were requested.
        digests: SHA-256 of each sample's file, if requested.
    """

    positions: tuple[int, ...]
    array: np.ndarray
    failed: tuple[tuple[int, str], ...] = ()
    thumbnails: tuple[Image.Image, ...] = ()
    digests: tuple[bytes, ...] = ()


THUMBNAIL_SIDE = 480
"""Longer side of a thumbnail, in pixels."""

DOWNLOADS, OBJECTS = 8, 32
"""URLs, and files of object stores, that are fetched side by side: their servers are waited for, not the processors."""

_Sample = tuple[np.ndarray, bytes, Image.Image | None]


AHEAD_BYTES = 2**25
"""Decoded samples that wait for the network, in bytes: enough to be busy while an engine is opened."""


@contextmanager
def decoding(
    sources: Sequence[str],
    preprocessor: Preprocessor,
    *,
    thumbnails: int = 0,
    digests: bool = False,
    workers: int | None = None,
    on_download: Callable[[int], object] | None = None,
) -> Iterator[Callable[[int], Iterator[Batch]]]:
    """Decode ``sources`` in threads during the block, ahead of whoever takes them, by :data:`AHEAD_BYTES`.

    Args:
        sources: Files and URLs.
        preprocessor: Turns them into arrays.
        thumbnails: Also make thumbnails of this many of the first sources.
        digests: Also compute the SHA-256 of each file, of the very bytes that were decoded.
        workers: Number of threads; decoders release the interpreter lock. None for those of ``--threads``, and
            more where URLs are among the first sources.
        on_download: Called, in one of the threads, with the number of URLs so far that have been read or failed.

    Yields:
        What returns the batches, in order, given the samples in a batch; the last may have fewer. Every source is in
        exactly one batch, as a sample or as a failure.
    """
    if workers is None:
        urls, objects = (sum(map(waits, sources[: 2 * OBJECTS])) for waits in (is_url, is_remote))
        workers = max(decode_threads(), min(urls, DOWNLOADS), min(objects, OBJECTS))
    most = max(2 * workers, AHEAD_BYTES // preprocessor.sample_bytes)
    downloaded = itertools.count(1)

    def read(position: int) -> _Sample | str:
        try:
            return load(position)
        finally:
            if on_download and is_url(sources[position]):
                on_download(next(downloaded))

    def load(position: int) -> _Sample | str:
        source, digest = sources[position], b""
        with claims():
            try:
                if digests:
                    content, digest = preprocessor.load_with_digest(source)
                else:
                    content = preprocessor.load(source)
            except InputError as error:
                return error.message
            thumbnail = preprocessor.thumbnail(content, THUMBNAIL_SIDE) if position < thumbnails else None
            array = preprocessor.to_array(content)
            del content  # before its memory counts as free
        return array, digest, thumbnail

    pool = ThreadPoolExecutor(workers, thread_name_prefix="decode")
    ahead: deque[tuple[int, Future[_Sample | str]]] = deque()
    remaining = iter(range(len(sources)))

    def fill() -> None:
        while len(ahead) < most and (position := next(remaining, None)) is not None:
            ahead.append((position, pool.submit(read, position)))

    def batches(size: int) -> Iterator[Batch]:
        while ahead:
            samples: list[_Sample] = []
            positions: list[int] = []
            failed: list[tuple[int, str]] = []
            while ahead and len(samples) < size:
                position, future = ahead.popleft()
                result = future.result()
                if isinstance(result, str):
                    failed.append((position, result))
                else:
                    samples.append(result)
                    positions.append(position)
                fill()
            empty = np.empty((0, *preprocessor.size, preprocessor.channels), preprocessor.dtype)
            yield Batch(
                tuple(positions),
                np.stack([array for array, _, _ in samples]) if samples else empty,
                tuple(failed),
                tuple(thumbnail for _, _, thumbnail in samples if thumbnail is not None),
                tuple(digest for _, digest, _ in samples),
            )

    try:
        fill()
        yield batches
    finally:
        # when the consumer stops early, on Ctrl-C for example, don't wait for a slow server
        pool.shutdown(wait=False, cancel_futures=True)
        if "tlkit.data.url" in sys.modules:
            sys.modules["tlkit.data.url"].hang_up_all()


def read_batches(
    sources: Sequence[str], preprocessor: Preprocessor, batch_size: int, **options: Any
) -> Iterator[Batch]:
    """Decode ``sources`` in threads and yield them as batches, in order.

    Args:
        sources: Files and URLs.
        preprocessor: Turns them into arrays.
        batch_size: Samples in a batch; the last may have fewer.
        options: As for :func:`decoding`.
    """
    with decoding(sources, preprocessor, **options) as batches:
        yield from batches(batch_size)

"""Files as batches of values: decoded by threads ahead of the network, in order, the bad ones named."""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from PIL import Image

from tlkit.data.preprocessor import Preprocessor
from tlkit.errors import InputError


@dataclass(frozen=True)
class Batch:
    """Consecutive pictures or clips.

    Attributes:
        positions: Where each row stands in the list of sources.
        pixels: ``(rows, height, width, channels)``, of the type that the look has.
        failed: ``(position, reason)`` of files between them that cannot be read.
        pictures: What there is to show of those rows that were asked for.
        digests: Of the bytes of each row's file, where they were asked for.
    """

    positions: tuple[int, ...]
    pixels: np.ndarray
    failed: tuple[tuple[int, str], ...] = ()
    pictures: tuple[Image.Image, ...] = ()
    digests: tuple[bytes, ...] = ()


KEPT_SIDE = 480
"""The longer side, in pixels, of a picture that is kept to be shown."""


def read_batches(
    sources: Sequence[str],
    preprocessor: Preprocessor,
    batch_size: int,
    *,
    keep_pictures: int = 0,
    digests: bool = False,
    workers: int | None = None,
) -> Iterator[Batch]:
    """Decode ``sources`` in threads and yield them as batches, in order.

    Every source is in exactly one batch, as a row or as a failure. At most three batches are held at a time,
    however many sources there are.

    Args:
        sources: Files and addresses.
        preprocessor: How they become values.
        batch_size: Rows a batch; the last may have fewer.
        keep_pictures: Also give back something to show of this many of the first sources.
        digests: Also give back the digest of each file's bytes, the very bytes that were decoded.
        workers: Threads; decoders work outside the interpreter lock.
    """
    workers = workers or max(2, os.cpu_count() or 1)

    def read(position: int) -> tuple[np.ndarray, bytes, Image.Image | None] | str:
        try:
            content, digest = preprocessor.open(sources[position], digest=digests)
        except InputError as error:
            return error.message
        pixels = preprocessor.pixels(content)
        return pixels, digest, preprocessor.show(content, KEPT_SIDE) if position < keep_pictures else None

    pool = ThreadPoolExecutor(workers, thread_name_prefix="decode")
    ahead: deque[tuple[int, Future[tuple[np.ndarray, bytes, Image.Image | None] | str]]] = deque()
    following = iter(range(len(sources)))

    def fill() -> None:
        while len(ahead) < 2 * batch_size and (position := next(following, None)) is not None:
            ahead.append((position, pool.submit(read, position)))

    try:
        fill()
        while ahead:
            rows: list[np.ndarray] = []
            pictures: list[Image.Image] = []
            names: list[bytes] = []
            positions: list[int] = []
            failed: list[tuple[int, str]] = []
            while ahead and len(rows) < batch_size:
                position, future = ahead.popleft()
                result = future.result()
                if isinstance(result, str):
                    failed.append((position, result))
                else:
                    rows.append(result[0])
                    names.append(result[1])
                    positions.append(position)
                    pictures += [result[2]] if result[2] else []
                fill()
            pixels = (
                np.stack(rows) if rows else np.empty((0, *preprocessor.size, preprocessor.channels), preprocessor.dtype)
            )
            yield Batch(tuple(positions), pixels, tuple(failed), tuple(pictures), tuple(names))
    finally:
        # whoever stopped asking, Ctrl-C among them, does not wait for a slow server
        pool.shutdown(wait=False, cancel_futures=True)
        if "tlkit.data.url" in sys.modules:
            sys.modules["tlkit.data.url"].hang_up_all()

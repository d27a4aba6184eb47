"""Pictures as batches of pixels: decoded by threads ahead of the network, in order, the bad ones named."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from PIL import Image

from tlkit.errors import ImageError
from tlkit.images.decode import decode
from tlkit.images.resize import resize
from tlkit.images.scan import is_address


@dataclass(frozen=True)
class Look:
    """How a picture becomes pixels: everything that can change one.

    Attributes:
        size: Height and width.
        rule: A rule of :mod:`tlkit.images.resize`.
        allow_private: Addresses may lead inside this network.
    """

    size: tuple[int, int]
    rule: str = "squash"
    allow_private: bool = False

    def read(self, source: str) -> np.ndarray:
        """Pixels of one file or address, ``(height, width, 3)`` uint8 RGB.

        Raises:
            ImageError: It cannot be read; the message is the reason alone.
        """
        return resize(self.open(source), self.size, self.rule)

    def open(self, source: str) -> Image.Image:
        """The whole picture of one file or address, mode RGB."""
        if is_address(source):
            from tlkit.images.fetch import fetch  # requests takes a while to import

            return decode(fetch(source, allow_private=self.allow_private))
        return decode(source)


@dataclass(frozen=True)
class Batch:
    """Consecutive pictures.

    Attributes:
        positions: Where each row stands in the list of sources.
        pixels: ``(rows, height, width, 3)`` uint8 RGB.
        failed: ``(position, reason)`` of pictures between them that cannot be read.
    """

    positions: tuple[int, ...]
    pixels: np.ndarray
    failed: tuple[tuple[int, str], ...] = ()


def read_batches(
    sources: Sequence[str], look: Look, batch_size: int, *, workers: int | None = None
) -> Iterator[Batch]:
    """Decode ``sources`` in threads and yield them as batches, in order.

    Every source is in exactly one batch, as a row or as a failure. At most three batches are held at a time,
    however many sources there are.

    Args:
        sources: Files and addresses.
        look: How they become pixels.
        batch_size: Rows a batch; the last may have fewer.
        workers: Threads; Pillow works outside the interpreter lock.
    """
    workers = workers or max(2, os.cpu_count() or 1)

    def read(position: int) -> np.ndarray | str:
        try:
            return look.read(sources[position])
        except ImageError as error:
            return error.message

    with ThreadPoolExecutor(workers, thread_name_prefix="decode") as pool:
        ahead: deque[tuple[int, Future[np.ndarray | str]]] = deque()
        following = iter(range(len(sources)))

        def fill() -> None:
            while len(ahead) < 2 * batch_size and (position := next(following, None)) is not None:
                ahead.append((position, pool.submit(read, position)))

        try:
            fill()
            while ahead:
                rows: list[np.ndarray] = []
                positions: list[int] = []
                failed: list[tuple[int, str]] = []
                while ahead and len(rows) < batch_size:
                    position, future = ahead.popleft()
                    result = future.result()
                    if isinstance(result, str):
                        failed.append((position, result))
                    else:
                        rows.append(result)
                        positions.append(position)
                    fill()
                pixels = np.stack(rows) if rows else np.empty((0, *look.size, 3), np.uint8)
                yield Batch(tuple(positions), pixels, tuple(failed))
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

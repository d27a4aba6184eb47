"""Pictures as batches of pixels: decoded by threads ahead of the network, in order, the bad ones named."""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from PIL import Image

from tlkit.errors import ImageError
from tlkit.images.decode import decode
from tlkit.images.preprocessing import preprocess
from tlkit.images.resize import resize
from tlkit.images.scan import is_address


@dataclass(frozen=True)
class Look:
    """How a network looks at a picture: everything that turns a file into numbers.

    Attributes:
        size: Height and width.
        preprocessing: A mode of :mod:`tlkit.images.preprocessing`.
        rule: A rule of :mod:`tlkit.images.resize`.
        allow_private: Addresses may lead inside this network.
        channels: 3 for RGB, 1 for grey.
        channels_first: Inputs are ``(channels, height, width)``.
    """

    size: tuple[int, int]
    preprocessing: str
    rule: str = "squash"
    allow_private: bool = False
    channels: int = 3
    channels_first: bool = False

    def read(self, source: str) -> np.ndarray:
        """Pixels of one file or address, ``(height, width, channels)`` uint8, RGB or grey.

        Raises:
            ImageError: It cannot be read; the message is the reason alone.
        """
        return self.pixels(self.open(source))

    def pixels(self, picture: Image.Image) -> np.ndarray:
        """A picture at the network's size, ``(height, width, channels)`` uint8; grey is ITU-R 601 luma."""
        if self.channels == 1:
            return resize(picture.convert("L"), self.size, self.rule)[..., np.newaxis]
        return resize(picture, self.size, self.rule)

    def inputs(self, pixels: np.ndarray) -> np.ndarray:
        """What the network takes for pixels ``(rows, height, width, channels)``: float32."""
        inputs = preprocess(pixels, self.preprocessing)
        return np.ascontiguousarray(np.moveaxis(inputs, -1, 1)) if self.channels_first else inputs

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
        pixels: ``(rows, height, width, channels)`` uint8.
        failed: ``(position, reason)`` of pictures between them that cannot be read.
        pictures: The pictures themselves, reduced, of those rows that were asked for.
    """

    positions: tuple[int, ...]
    pixels: np.ndarray
    failed: tuple[tuple[int, str], ...] = ()
    pictures: tuple[Image.Image, ...] = ()


KEPT_SIDE = 480
"""The longer side, in pixels, of a picture that is kept to be shown."""


def read_batches(
    sources: Sequence[str],
    look: Look,
    batch_size: int,
    *,
    keep_pictures: int = 0,
    workers: int | None = None,
) -> Iterator[Batch]:
    """Decode ``sources`` in threads and yield them as batches, in order.

    Every source is in exactly one batch, as a row or as a failure. At most three batches are held at a time,
    however many sources there are.

    Args:
        sources: Files and addresses.
        look: How they become pixels.
        batch_size: Rows a batch; the last may have fewer.
        keep_pictures: Also give back the pictures of this many of the first sources.
        workers: Threads; Pillow works outside the interpreter lock.
    """
    workers = workers or max(2, os.cpu_count() or 1)

    def read(position: int) -> tuple[np.ndarray, Image.Image | None] | str:
        try:
            picture = look.open(sources[position])
        except ImageError as error:
            return error.message
        pixels = look.pixels(picture)
        if position >= keep_pictures:
            return pixels, None
        picture.thumbnail((KEPT_SIDE, KEPT_SIDE))
        return pixels, picture

    pool = ThreadPoolExecutor(workers, thread_name_prefix="decode")
    ahead: deque[tuple[int, Future[tuple[np.ndarray, Image.Image | None] | str]]] = deque()
    following = iter(range(len(sources)))

    def fill() -> None:
        while len(ahead) < 2 * batch_size and (position := next(following, None)) is not None:
            ahead.append((position, pool.submit(read, position)))

    try:
        fill()
        while ahead:
            rows: list[np.ndarray] = []
            pictures: list[Image.Image] = []
            positions: list[int] = []
            failed: list[tuple[int, str]] = []
            while ahead and len(rows) < batch_size:
                position, future = ahead.popleft()
                result = future.result()
                if isinstance(result, str):
                    failed.append((position, result))
                else:
                    rows.append(result[0])
                    positions.append(position)
                    pictures += [result[1]] if result[1] else []
                fill()
            pixels = np.stack(rows) if rows else np.empty((0, *look.size, look.channels), np.uint8)
            yield Batch(tuple(positions), pixels, tuple(failed), tuple(pictures))
    finally:
        # whoever stopped asking, Ctrl-C among them, does not wait for a slow server
        pool.shutdown(wait=False, cancel_futures=True)
        if "tlkit.images.fetch" in sys.modules:
            sys.modules["tlkit.images.fetch"].hang_up_all()

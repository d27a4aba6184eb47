"""Pictures as batches of pixels: decoded by threads ahead of the network, in order, the bad ones named."""

from __future__ import annotations

import math
import os
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from PIL import Image

from tlkit.errors import ImageError
from tlkit.images.decode import bytes_digest, decode, read_file
from tlkit.images.preprocessing import preprocess
from tlkit.images.resize import CROP_FRACTION, resize
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
        return self.pixels(self.open(source)[0])

    def pixels(self, picture: Image.Image) -> np.ndarray:
        """A picture at the network's size, ``(height, width, channels)`` uint8; grey is ITU-R 601 luma."""
        if self.channels == 1:
            return resize(picture.convert("L"), self.size, self.rule)[..., np.newaxis]
        return resize(picture, self.size, self.rule)

    def inputs(self, pixels: np.ndarray) -> np.ndarray:
        """What the network takes for pixels ``(rows, height, width, channels)``: float32."""
        inputs = preprocess(pixels, self.preprocessing)
        return np.ascontiguousarray(np.moveaxis(inputs, -1, 1)) if self.channels_first else inputs

    def open(self, source: str, *, digest: bool = False) -> tuple[Image.Image, bytes]:
        """The picture of one file or address, mode RGB, and the digest of its bytes where that is asked for.

        A large JPEG comes reduced, to a size from which this look is still taken as from the whole.
        """
        data: str | bytes = source
        if is_address(source):
            from tlkit.images.fetch import fetch  # requests takes a while to import

            data = fetch(source, allow_private=self.allow_private)
        elif digest:
            data = read_file(source)
        return decode(data, least=self.least), bytes_digest(data) if isinstance(data, bytes) and digest else b""

    @property
    def least(self) -> tuple[int, int]:
        """Width and height below which a picture must not be reduced before this look is taken."""
        height, width = self.size
        share = 1 if self.rule == "squash" else CROP_FRACTION
        return math.ceil(width / share), math.ceil(height / share)


@dataclass(frozen=True)
class Batch:
    """Consecutive pictures.

    Attributes:
        positions: Where each row stands in the list of sources.
        pixels: ``(rows, height, width, channels)`` uint8.
        failed: ``(position, reason)`` of pictures between them that cannot be read.
        pictures: The pictures themselves, reduced, of those rows that were asked for.
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
    look: Look,
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
        look: How they become pixels.
        batch_size: Rows a batch; the last may have fewer.
        keep_pictures: Also give back the pictures of this many of the first sources.
        digests: Also give back the digest of each file's bytes, the very bytes that were decoded.
        workers: Threads; Pillow works outside the interpreter lock.
    """
    workers = workers or max(2, os.cpu_count() or 1)

    def read(position: int) -> tuple[np.ndarray, bytes, Image.Image | None] | str:
        try:
            picture, digest = look.open(sources[position], digest=digests)
        except ImageError as error:
            return error.message
        pixels = look.pixels(picture)
        if position >= keep_pictures:
            return pixels, digest, None
        picture.thumbnail((KEPT_SIDE, KEPT_SIDE))
        return pixels, digest, picture

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
            pixels = np.stack(rows) if rows else np.empty((0, *look.size, look.channels), np.uint8)
            yield Batch(tuple(positions), pixels, tuple(failed), tuple(pictures), tuple(names))
    finally:
        # whoever stopped asking, Ctrl-C among them, does not wait for a slow server
        pool.shutdown(wait=False, cancel_futures=True)
        if "tlkit.images.fetch" in sys.modules:
            sys.modules["tlkit.images.fetch"].hang_up_all()

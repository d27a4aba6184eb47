"""Images that can be read, and are easily not what was meant: very small ones, and odd modes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from PIL import Image

from tlkit.data.images.decode import FORMATS
from tlkit.utils.processors import decode_threads

TINY = 32
"""Shorter side below which an image is tiny, in pixels."""

_MODES = {
    "1": "it is black and white, 1 bit a pixel",
    "CMYK": "it is CMYK, converted without a colour profile",
    "YCbCr": "it is stored as YCbCr",
    "LA": "it is transparent, shown over white",
    "PA": "it is transparent, shown over white",
    "RGBA": "it is transparent, shown over white",
    "I": "it has 16 bits a pixel, reduced to 8",
}


def find_unusual(files: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield ``(path, reason)`` of images that are tiny or of an odd mode, by their headers alone, in order."""
    with ThreadPoolExecutor(decode_threads()) as pool:
        for file, reason in zip(files, pool.map(_why, files), strict=True):
            if reason is not None:
                yield file, reason


def _why(file: str) -> str | None:
    try:
        with Image.open(file, formats=FORMATS) as image:
            width, height = image.size
            mode = "I" if image.mode.startswith("I") else image.mode
            transparent = "transparency" in image.info
    except (
        Exception
    ):  # of a kind that Pillow opens with a package, or gone since; whether it can be read is said elsewhere
        return None
    if min(width, height) < TINY:
        return f"it has only {width}x{height} pixels"
    return _MODES["RGBA"] if transparent else _MODES.get(mode)

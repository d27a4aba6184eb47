"""Decode image files to RGB. Every command decodes here, so the same file gives the same pixels everywhere.

The result always has three channels of 8 bits:

===========================  ==================================================================
greyscale, 1-bit             the grey value in all three channels
16-bit greyscale             scaled from 0…65535 to 0…255
palette                      its colours
transparency of any kind     composited over white
CMYK, YCCK                   converted, without a colour profile
animation, several pages     the first frame
EXIF orientation 1 to 8      rotated upright
===========================  ==================================================================

Formats without a defined conversion to RGB (32-bit integers, floating point, Lab) are refused by name.
"""

from __future__ import annotations

import os
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from tlkit.data.file_checks import check_regular, describe_mismatch, start_of, why_unreadable
from tlkit.data.modality import IMAGE
from tlkit.errors import InputError

FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM")
"""Formats that Pillow may open; recognised by the file's content, never by its name."""

DECODER = 2
"""Version of this module's output, part of the provenance: increment when the same file decodes to other pixels."""

MAX_PIXELS = 100_000_000
"""Images with more pixels in their header are refused before decoding."""

HEADROOM = 2
"""A JPEG is not reduced while decoding below this multiple of the size it is resized to."""

_OVER_WHITE = {"RGBA", "LA", "PA", "La", "RGBa"}
_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

_DIRECT = {"1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr", "HSV"}


def decode(source: str | os.PathLike[str] | bytes, *, min_size: tuple[int, int] | None = None) -> Image.Image:
    """Decode an image file.

    Args:
        source: A path, or the bytes of a file.
        min_size: Width and height that it will be resized to. A JPEG more than :data:`HEADROOM` times as large is
            decoded at 1/2, 1/4 or 1/8 of its size (DCT scaling), which is several times faster.

    Returns:
        A Pillow image in mode RGB, upright, at its own size or reduced.

    Raises:
        InputError: Not an image, damaged, too large, or without a defined conversion to RGB. The message is the
            reason alone, without the file's name.
    """
    try:
        if not isinstance(source, bytes):
            check_regular(source, IMAGE)
        with Image.open(BytesIO(source) if isinstance(source, bytes) else Path(source), formats=FORMATS) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise InputError(f"it has {width}x{height} pixels, more than the limit of {MAX_PIXELS:,}")
            image.seek(0)
            if min_size is not None and image.format == "JPEG":
                across, down = (HEADROOM * side for side in min_size)
                if image.getexif().get(_ORIENTATION, 1) >= 5:  # rotated by 90 degrees
                    across, down = down, across
                image.draft(None, (across, down))
            image.load()
            rotation = _UPRIGHT.get(image.getexif().get(_ORIENTATION, 1))
            return _rgb(image) if rotation is None else _rgb(image).transpose(rotation)
    except InputError:
        raise
    except Image.DecompressionBombError as error:
        raise InputError("it has more pixels than the limit") from error
    except UnidentifiedImageError as error:
        raise InputError(describe_mismatch(start_of(source), IMAGE)) from error
    except OSError as error:
        raise InputError(why_unreadable(error)) from error
    except Exception as error:  # Pillow's plugins raise all kinds of exceptions on damaged files
        raise InputError(f"it is damaged ({type(error).__name__}: {error})") from error


# 0…65535 to 0…255, rounded to nearest
_TO_8_BITS = ((np.arange(65536) + 128) // 257).astype(np.uint8)
_PHOTOMETRIC, _WHITE_IS_ZERO = 262, 0


def _deep_grey(image: Image.Image) -> Image.Image:
    """Convert 16-bit greyscale to RGB; the transparent value, if it has one, becomes white."""
    values = np.asarray(image)
    if values.dtype != np.uint16:
        values = np.clip(values, 0, 65535).astype(np.uint16)
    grey = _TO_8_BITS[values]
    if getattr(image, "tag_v2", {}).get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
        grey = 255 - grey
    if "transparency" in image.info:
        grey[values == image.info["transparency"]] = 255
    return Image.fromarray(grey).convert("RGB")


def _rgb(image: Image.Image) -> Image.Image:
    """Convert any Pillow mode to RGB, as in the table above."""
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM")):
        return _deep_grey(image)
    if image.mode in _OVER_WHITE or "transparency" in image.info:
        opaque = Image.new("RGBA", image.size, "white")
        opaque.alpha_composite(image.convert("RGBA"))
        return opaque.convert("RGB")
    if image.mode == "RGB":
        return image
    if image.mode in _DIRECT:
        return image.convert("RGB")
    content = {"I": "32-bit integers", "F": "floating-point values", "LAB": "Lab colours"}.get(image.mode, image.mode)
    raise InputError(f"it holds {content}, which cannot be converted to RGB; save it with 8 or 16 bits per channel")

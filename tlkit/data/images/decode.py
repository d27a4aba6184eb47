"""One way from the bytes of a picture to RGB pixels; every command goes through here.

What comes out, always three channels of 8 bits:

===========================  ==================================================================
grey, 1-bit                  the grey value in all three channels
16-bit grey                  scaled: 0 to 65535 becomes 0 to 255
palette                      its colours
transparency of any kind     laid over white
CMYK, YCCK                   converted, without a colour profile
animation, several pages     the first frame
EXIF orientation 1 to 8      turned upright
===========================  ==================================================================

What has no such meaning (32-bit integers, floating point, Lab) is refused by name.
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
"""What Pillow may open; the content says which, never the name."""

DECODER = 2
"""Raised when the same bytes become other pixels; cached features are known by it and by Pillow's version."""

MAX_PIXELS = 100_000_000
"""A picture that claims more is refused before anything is decoded."""

HEADROOM = 2
"""A JPEG is never reduced while decoding to less than this many times the size that is wanted."""

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
    """Read a picture.

    Args:
        source: A path, or the bytes of a file.
        min_size: Width and height that it will be reduced to. A JPEG more than :data:`HEADROOM` times as large is
            decoded at a half, a quarter or an eighth of its size, which its format allows at a fraction of the time.

    Returns:
        A Pillow image in mode RGB, upright, at its own size or reduced.

    Raises:
        InputError: Not a picture, damaged, too large, or of a kind with no meaning in RGB. The message is the
            reason alone; who calls knows the name.
    """
    try:
        if not isinstance(source, bytes):
            check_regular(source, IMAGE)
        with Image.open(BytesIO(source) if isinstance(source, bytes) else Path(source), formats=FORMATS) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise InputError(f"it claims {width}x{height} pixels, more than the {MAX_PIXELS:,} that are decoded")
            image.seek(0)
            if min_size is not None and image.format == "JPEG":
                across, down = (HEADROOM * side for side in min_size)
                if image.getexif().get(_ORIENTATION, 1) >= 5:  # lies on its side
                    across, down = down, across
                image.draft(None, (across, down))
            image.load()
            turn = _UPRIGHT.get(image.getexif().get(_ORIENTATION, 1))
            return _rgb(image) if turn is None else _rgb(image).transpose(turn)
    except InputError:
        raise
    except Image.DecompressionBombError as error:
        raise InputError("it claims more pixels than are decoded") from error
    except UnidentifiedImageError as error:
        raise InputError(describe_mismatch(start_of(source), IMAGE)) from error
    except OSError as error:
        raise InputError(why_unreadable(error)) from error
    except Exception as error:  # Pillow's plugins raise many kinds on damaged files
        raise InputError(f"it is damaged ({type(error).__name__}: {error})") from error


# 0 to 65535 as 0 to 255, to the nearest
_TO_8_BITS = ((np.arange(65536) + 128) // 257).astype(np.uint8)
_PHOTOMETRIC, _WHITE_IS_ZERO = 262, 0


def _deep_grey(image: Image.Image) -> Image.Image:
    """16-bit grey as RGB; its one transparent value, where it has one, as white."""
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
    """Any Pillow mode as RGB, as the table above says."""
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
    holds = {"I": "32-bit integers", "F": "floating-point values", "LAB": "Lab colours"}.get(image.mode, image.mode)
    raise InputError(f"it holds {holds}, which have no fixed meaning as RGB; save it with 8 or 16 bits a channel")

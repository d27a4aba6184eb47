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

Pixels decide alone: metadata that Pillow cannot read never makes an image unreadable, and pixels that are missing
always do, also where Pillow would fill them in.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from io import BytesIO
from operator import methodcaller

import numpy as np
from PIL import Image, ImageChops, UnidentifiedImageError, features

from tlkit.data.file_checks import describe_mismatch, read_file
from tlkit.data.formats import is_heif
from tlkit.data.images import jpeg, png, tiff
from tlkit.data.memory import PIXELS
from tlkit.data.modality import IMAGE
from tlkit.errors import InputError
from tlkit.utils.text import format_bytes

FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM", *(("AVIF",) if features.check("avif") else ()))
"""Formats that Pillow may open; recognised by the file's content, never by its name. HEIC is added where pillow-heif is
installed."""

DECODER = 2
"""Version of this module's output, part of the provenance: increment when the same file decodes to other pixels."""

MAX_PIXELS = 100_000_000
"""Images with more pixels in their header are refused before decoding."""

MAX_SIDE = 65_535
"""So are images with a longer side: it is the longest that a JPEG can have."""

MAX_BYTES = 800_000_000
"""So are images that need more memory than this while they are decoded and resized."""

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
_STRIP = 1_000_000
"""Pixels that are converted at a time."""

# The C library returns blocks of more than 32 MB to the system when they are freed, and keeps Pillow's of 16 MB for
# the thread that freed them: large images decoded in several threads would take the memory of one for each.
Image.core.set_block_size(64 << 20)  # type: ignore[attr-defined]


def decode(source: str | os.PathLike[str] | bytes, *, min_size: tuple[int, int] | None = None) -> Image.Image:
    """Decode an image file.

    Args:
        source: A path, or the bytes of a file.
        min_size: Width and height that it will be resized to. A JPEG more than :data:`HEADROOM` times as large is
            decoded at 1/2, 1/4 or 1/8 of its size (DCT scaling), which is several times faster.

    Returns:
        A Pillow image in mode RGB, upright, at its own size or reduced.

    Raises:
        InputError: Not an image, damaged, truncated, too large, or without a defined conversion to RGB. The message is
            the reason alone, without the file's name.
    """
    data = source if isinstance(source, bytes) else read_file(source, IMAGE)
    try:
        try:
            return _decode(data, min_size)
        except (InputError, MemoryError):
            raise
        except Exception:  # perhaps of metadata
            bare = _without_metadata(data)
            if bare == data:
                raise
            return _decode(bare, min_size)
    except (InputError, MemoryError):
        raise
    except Image.DecompressionBombError as error:
        raise InputError("it has more pixels than the limit") from error
    except UnidentifiedImageError as error:
        raise InputError(describe_mismatch(data, IMAGE)) from error
    except OSError as error:
        raise InputError(f"it is damaged ({error})") from error
    except Exception as error:  # Pillow's plugins raise all kinds of exceptions on damaged files
        raise InputError(f"it is damaged ({type(error).__name__}: {error})") from error


def _decode(data: bytes, min_size: tuple[int, int] | None) -> Image.Image:
    if data.startswith(png.SIGNATURE):
        return _decode_png(data, min_size)
    if data.startswith(jpeg.SIGNATURE):
        return _decode_jpeg(data, min_size)
    return _upright(_load(data, min_size))


def _without_metadata(data: bytes) -> bytes:
    """Return an image file without metadata that may have kept Pillow from opening it; a PNG never has any here."""
    if data.startswith(jpeg.SIGNATURE):
        return jpeg.without_metadata(data)
    if data.startswith(tiff.SIGNATURES):
        return tiff.without_metadata(data)
    return data.replace(b"Exif", b"skip") if data[4:8] == b"ftyp" else data


def _decode_png(data: bytes, min_size: tuple[int, int] | None) -> Image.Image:
    data = png.without_metadata(data)
    image = _load(data, min_size)
    last_row = image.crop((0, image.height - 1, image.width, image.height))
    # rows that are missing are zero, and the last to be stored unless the file is interlaced
    suspect = image.info.get("interlace") or last_row.getbbox(alpha_only=False) is None
    if suspect and not png.has_all_rows(data):
        raise InputError("it is damaged (its data ends before the last row)")
    return _upright(image)


def _decode_jpeg(data: bytes, min_size: tuple[int, int] | None) -> Image.Image:
    markers = jpeg.read_markers(data)
    image = _load(data, min_size, markers)
    if not markers.complete:
        raise InputError("it is damaged (some of its scans are missing)")
    # libjpeg makes of missing data grey pixels, after those that are there
    corner = image.getpixel((image.width - 1, image.height - 1))
    grey = all(value in (127, 128) for value in (corner if isinstance(corner, tuple) else (corner,)))
    if (grey or len(markers.scans) > 1 or not markers.ended) and not markers.arithmetic:
        with suppress(OSError):
            probe = _load(jpeg.with_noise(data, markers), min_size, markers)
            if ImageChops.difference(image, probe).getbbox(alpha_only=False) is None:
                return _upright(image)
        raise InputError("it is damaged (its data ends before the last row)")
    return _upright(image)


def _open(data: bytes) -> Image.Image:
    """Read the header of an image file."""
    formats = FORMATS
    if is_heif(data):
        with suppress(ImportError):
            import pillow_heif

            pillow_heif.register_heif_opener()
            formats = (*FORMATS, "HEIF")
    return Image.open(BytesIO(data), formats=formats)


def _load(data: bytes, min_size: tuple[int, int] | None, markers: jpeg.Markers | None = None) -> Image.Image:
    """Decode the first frame in the mode of the file; refuse a size that takes too much memory before."""
    image = _open(data)
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise InputError(f"it has {width}x{height} pixels, more than the limit of {MAX_PIXELS:,}")
    if max(width, height) > MAX_SIDE:
        raise InputError(f"it has {width}x{height} pixels, and a side may have at most {MAX_SIDE:,}")
    image.seek(0)
    if image.format == "TIFF":
        tiff.check_pixels(image, data)
    if min_size is not None and image.format == "JPEG":
        across, down = (HEADROOM * side for side in min_size)
        if _orientation(image) >= 5:  # rotated by 90 degrees
            across, down = down, across
        image.draft(None, (across, down))
    needed = _bytes_to_decode(image, (width, height), markers)
    needed += len(data) * (2 if image.format == "PNG" else 1)  # as it is, and without metadata
    needed += 4 * min_size[0] * max(image.size) if min_size else 0  # resized along rows first
    if needed > MAX_BYTES:
        raise InputError(
            f"it has {width}x{height} pixels, and decoding it takes {format_bytes(needed)} of memory, more than the "
            f"limit of {format_bytes(MAX_BYTES)}"
        )
    PIXELS.claim(needed)
    image.load()
    return image


_STORED = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2, "I;16N": 2}
"""Bytes a pixel that Pillow stores, where they are not 4."""
_BESIDE = {"WEBP": 12, "AVIF": 12, "HEIF": 8, "libtiff": 6, "ppm": 8, "ppm_plain": 8, "bmp_rle": 8}
"""Bytes a pixel that a format or decoder has beside, at most: planes, strips, Python's copies."""


def _bytes_to_decode(image: Image.Image, size: tuple[int, int], markers: jpeg.Markers | None) -> int:
    """Estimate the memory that decoding takes, conversion to RGB included."""
    tiles = getattr(image, "tile", None)
    each = _STORED.get(image.mode, 4)
    each += 4 if image.mode != "RGB" or "transparency" in image.info else 0
    each += 4 if _orientation(image) > 1 else 0
    each += _BESIDE.get(image.format or "", 0) + (_BESIDE.get(tiles[0][0], 0) if tiles else 0)
    if markers and len(markers.scans) > 1:  # libjpeg keeps the coefficients of all, and they are decoded twice
        return size[0] * size[1] * 2 * markers.components + image.width * image.height * 3 * each
    return image.width * image.height * each


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 to 8; 1 (upright) where the file has none that can be read."""
    try:
        value = Image.Image.getexif(image).get(_ORIENTATION)  # a PNG's own decodes all of it first
    except Exception:  # malformed metadata raises all kinds of exceptions, and decides nothing
        return 1
    return value if type(value) is int and value in _UPRIGHT else 1


def _upright(image: Image.Image) -> Image.Image:
    rotation = _UPRIGHT.get(_orientation(image))
    return _rgb(image) if rotation is None else _rgb(image).transpose(rotation)


# 0…65535 to 0…255, rounded to nearest
_TO_8_BITS = ((np.arange(65536) + 128) // 257).astype(np.uint8)
_PHOTOMETRIC, _WHITE_IS_ZERO = 262, 0


def _deep_grey(image: Image.Image, *, white_is_zero: bool) -> Image.Image:
    """Convert 16-bit greyscale to RGB; the transparent value, if it has one, becomes white."""
    values = np.asarray(image)
    if values.dtype != np.uint16:
        values = np.clip(values, 0, 65535).astype(np.uint16)
    grey = _TO_8_BITS[values]
    if white_is_zero:
        grey = 255 - grey
    if "transparency" in image.info:
        grey[values == image.info["transparency"]] = 255
    return Image.fromarray(grey).convert("RGB")


def _over_white(image: Image.Image) -> Image.Image:
    opaque = Image.new("RGBA", image.size, "white")
    opaque.alpha_composite(image.convert("RGBA"))
    return opaque.convert("RGB")


def _rgb(image: Image.Image) -> Image.Image:
    """Convert any Pillow mode to RGB, as in the table above."""
    convert: Callable[[Image.Image], Image.Image]
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM")):
        white_is_zero = getattr(image, "tag_v2", {}).get(_PHOTOMETRIC) == _WHITE_IS_ZERO
        convert = partial(_deep_grey, white_is_zero=white_is_zero)
    elif image.mode in _OVER_WHITE or "transparency" in image.info:
        convert = _over_white
    elif image.mode == "RGB":
        return image
    elif image.mode in _DIRECT:
        convert = methodcaller("convert", "RGB")
    else:
        content = {"I": "32-bit integers", "F": "floating-point values", "LAB": "Lab colours"}.get(
            image.mode, image.mode
        )
        raise InputError(f"it holds {content}, which cannot be converted to RGB; save it with 8 or 16 bits per channel")
    rows = max(1, _STRIP // image.width)
    if rows >= image.height:
        return convert(image)
    converted = Image.new("RGB", image.size)  # in strips: a large image has no room for copies in between
    for top in range(0, image.height, rows):
        strip = image.crop((0, top, image.width, min(top + rows, image.height)))
        converted.paste(convert(strip), (0, top))
    return converted

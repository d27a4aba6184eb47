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

import hashlib
import os
import stat
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from tlkit.errors import ImageError

FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM")
"""What Pillow may open; the content says which, never the name."""

EXTENSIONS = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".bmp", ".dib", ".webp", ".tif", ".tiff",
     ".ppm", ".pgm", ".pbm", ".pnm", ".mpo"}
)  # fmt: skip
"""Names that count as pictures when a folder is walked."""

DECODER = 2
"""Raised when the same bytes become other pixels; cached features are known by it and by Pillow's version."""

MAX_BYTES = 2**30
"""A larger file is no picture that is decoded here."""

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


def bytes_digest(data: bytes) -> bytes:
    """SHA-256 of a file's bytes: the name under which what was computed from them is kept."""
    return hashlib.sha256(data).digest()


def read_file(path: str) -> bytes:
    """All bytes of a file.

    Raises:
        ImageError: It cannot be read, or is too large to be a picture; the message is the reason alone.
    """
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            raise ImageError(_not_a_file(Path(path)))
        if status.st_size > MAX_BYTES:
            raise ImageError(f"it has {status.st_size:,} bytes, more than the {MAX_BYTES:,} that are read")
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError as error:
        raise ImageError("there is no such file") from error
    except OSError as error:
        raise ImageError(error.strerror or str(error) or "it cannot be read") from error


def decode(source: str | os.PathLike[str] | bytes, *, least: tuple[int, int] | None = None) -> Image.Image:
    """Read a picture.

    Args:
        source: A path, or the bytes of a file.
        least: Width and height that it will be reduced to. A JPEG more than :data:`HEADROOM` times as large is
            decoded at a half, a quarter or an eighth of its size, which its format allows at a fraction of the time.

    Returns:
        A Pillow image in mode RGB, upright, at its own size or reduced.

    Raises:
        ImageError: Not a picture, damaged, too large, or of a kind with no meaning in RGB. The message is the
            reason alone; who calls knows the name.
    """
    try:
        if not isinstance(source, bytes) and not stat.S_ISREG(os.stat(source).st_mode):
            raise ImageError(_not_a_file(Path(source)))
        with Image.open(BytesIO(source) if isinstance(source, bytes) else Path(source), formats=FORMATS) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise ImageError(f"it claims {width}x{height} pixels, more than the {MAX_PIXELS:,} that are decoded")
            image.seek(0)
            if least is not None and image.format == "JPEG":
                across, down = (HEADROOM * side for side in least)
                if image.getexif().get(_ORIENTATION, 1) >= 5:  # lies on its side
                    across, down = down, across
                image.draft(None, (across, down))
            image.load()
            turn = _UPRIGHT.get(image.getexif().get(_ORIENTATION, 1))
            return _rgb(image) if turn is None else _rgb(image).transpose(turn)
    except ImageError:
        raise
    except Image.DecompressionBombError as error:
        raise ImageError("it claims more pixels than are decoded") from error
    except UnidentifiedImageError as error:
        raise ImageError(_not_a_picture(source)) from error
    except FileNotFoundError as error:
        raise ImageError("there is no such file") from error
    except OSError as error:
        raise ImageError(error.strerror or str(error) or "it cannot be read") from error
    except Exception as error:  # Pillow's plugins raise many kinds on damaged files
        raise ImageError(f"it is damaged ({type(error).__name__}: {error})") from error


def _not_a_picture(source: str | os.PathLike[str] | bytes) -> str:
    if isinstance(source, bytes):
        start = source[:512]
    else:
        with Path(source).open("rb") as file:
            start = file.read(512)
    if not start:
        return "it is empty"
    if start.lstrip()[:1] == b"<":
        return "it is a web page or XML, not a picture"
    return "it is not a picture in a format that is read here"


def _not_a_file(path: Path) -> str:
    if not path.is_dir():
        return "it is not a regular file"
    return "it is a folder without pictures" if os.access(path, os.R_OK | os.X_OK) else "the folder cannot be read"


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
    raise ImageError(f"it holds {holds}, which have no fixed meaning as RGB; save it with 8 or 16 bits a channel")

"""Images whose data ends early: refused whatever their format, and whole ones that look alike are not."""

import io
import struct
import zlib

import numpy as np
import pytest
import skimage.data
from PIL import Image

from tlkit.data.images import png
from tlkit.data.images.decode import decode
from tlkit.errors import InputError

COFFEE = Image.fromarray(skimage.data.coffee()).resize((120, 160))


def saved(kind: str, image: Image.Image = COFFEE, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_of(rows: bytes, width: int, height: int, *, interlaced: bool = False) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, interlaced)
    return png.SIGNATURE + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def adam7(grey: np.ndarray) -> bytes:
    passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    return b"".join(b"\0" + row.tobytes() for x, y, dx, dy in passes for row in grey[y::dy, x::dx] if row.size)


def with_height(jpeg: bytes, height: int) -> bytes:
    place = jpeg.index(b"\xff\xc0") + 5
    return jpeg[:place] + height.to_bytes(2, "big") + jpeg[place + 2 :]


def tiff_with(data: bytes, tag: int, value: int) -> bytes:
    changed = bytearray(data)
    start = struct.unpack_from("<I", data, 4)[0]
    for entry in range(start + 2, start + 2 + 12 * struct.unpack_from("<H", data, start)[0], 12):
        if struct.unpack_from("<H", data, entry)[0] == tag:
            struct.pack_into("<I", changed, entry + 8, value)
    return bytes(changed)


def cut(data: bytes, share: float = 0.6) -> bytes:
    return data[: int(len(data) * share)]


END = b"\xff\xd9"
JPEG, PROGRESSIVE = saved("JPEG"), saved("JPEG", progressive=True)
RAW_TIFF, JPEG_TIFF = saved("TIFF"), saved("TIFF", compression="jpeg")
ROWS = np.random.default_rng(0).integers(0, 256, (40, 30), np.uint8)
LAST_SCAN = PROGRESSIVE.rindex(b"\xff\xda")

TRUNCATED = {
    "png of ten rows": png_of(b"".join(b"\0" + row.tobytes() for row in ROWS[:10]), 30, 9999),
    "png without its last row": png_of(b"".join(b"\0" + row.tobytes() for row in ROWS[:39]), 30, 40),
    "interlaced png": png_of(adam7(ROWS)[:-40], 30, 40, interlaced=True),
    "jpeg that is ended": cut(JPEG) + END,
    "jpeg of a taller header": with_height(JPEG, 900),
    "grey jpeg that is ended": cut(saved("JPEG", COFFEE.convert("L"))) + END,
    "cmyk jpeg that is ended": cut(saved("JPEG", COFFEE.convert("CMYK"))) + END,
    "jpeg with restarts that is ended": cut(saved("JPEG", restart_marker_blocks=3)) + END,
    "jpeg filled up with zeros": cut(JPEG) + bytes(9000),
    "progressive, ended within its last scan": PROGRESSIVE[: (LAST_SCAN + len(PROGRESSIVE)) // 2] + END,
    "progressive without its last scan": PROGRESSIVE[:LAST_SCAN] + END,
    "progressive, ended early": cut(PROGRESSIVE, 0.3) + END,
    "tiff with a strip of fewer rows": tiff_with(RAW_TIFF, 257, 640),
    "tiff of a jpeg that is cut": tiff_with(JPEG_TIFF, 279, len(JPEG_TIFF) // 2),
    "tiff of a jpeg with fewer rows": tiff_with(tiff_with(JPEG_TIFF, 257, 640), 278, 640),
}


@pytest.mark.parametrize("data", TRUNCATED.values(), ids=TRUNCATED)
def test_rows_that_are_missing_are_not_filled_up(data):
    with pytest.raises(InputError, match="damaged"):
        decode(data)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "AVIF"])
def test_a_file_that_is_cut_off_is_damaged(kind):
    for share in (0.3, 0.9):
        with pytest.raises(InputError, match="damaged"):
            decode(cut(saved(kind), share))


def with_bottom(value: int) -> Image.Image:
    pixels = np.array(COFFEE)
    pixels[100:] = value
    return Image.fromarray(pixels)


WHOLE = {
    "png, black below": (saved("PNG", with_bottom(0)), 0),
    "transparent png, black below": (saved("PNG", with_bottom(0).convert("LA")), 0),
    "interlaced png": (png_of(adam7(ROWS), 30, 40, interlaced=True), ROWS[-1, -1]),
    **{
        f"jpeg {options}, grey below": (saved("JPEG", with_bottom(128), **options), 128)
        for options in ({}, {"progressive": True}, {"restart_marker_blocks": 2}, {"subsampling": 0, "optimize": True})
    },
    "grey jpeg": (saved("JPEG", with_bottom(128).convert("L")), 128),
    "jpeg with more after its end": (saved("JPEG", with_bottom(128)) + b"more" * 99, 128),
    "tiff of jpegs": (saved("TIFF", with_bottom(128), compression="jpeg"), 128),
}


@pytest.mark.parametrize(("data", "value"), WHOLE.values(), ids=WHOLE)
def test_whole_images_that_look_filled_up_are_read(data, value):
    got = np.asarray(decode(data))
    np.testing.assert_array_equal(got, np.asarray(Image.open(io.BytesIO(data)).convert("RGB")))
    assert (got[-1, -1] == value).all()


def test_reduced_jpegs_are_checked_too():
    large = Image.fromarray(skimage.data.coffee())
    whole = saved("JPEG", large)
    assert decode(whole, min_size=(30, 30)).size == (150, 100)
    with pytest.raises(InputError, match="damaged"):
        decode(cut(whole) + END, min_size=(30, 30))


def test_a_flipped_byte_in_a_png_is_found_by_its_checksum():
    data = bytearray(saved("PNG"))
    data[data.index(b"IDAT") + 2000] ^= 4
    with pytest.raises(InputError, match="damaged .*checksum"):
        decode(bytes(data))

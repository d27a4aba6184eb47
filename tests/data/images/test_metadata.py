"""Metadata: none makes an image unreadable, and orientation counts only where it is one."""

import io
import struct
import zlib

import numpy as np
import pytest
import skimage.data
from PIL import Image

from tlkit.data.images.decode import decode

COFFEE = Image.fromarray(skimage.data.coffee()).resize((60, 40))


def saved(kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    COFFEE.save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


PNG, JPEG = saved("PNG"), saved("JPEG", quality=95)


def in_png(*chunks: bytes) -> bytes:
    place = PNG.index(b"IDAT") - 4
    return PNG[:place] + b"".join(chunks) + PNG[place:]


def in_jpeg(marker: int, body: bytes) -> bytes:
    return JPEG[:2] + bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body + JPEG[2:]


def exif(kind: int, value: bytes, *, count: int = 1, more: bytes = b"") -> bytes:
    entry = struct.pack("<HHI", 0x0112, kind, count) + value.ljust(4, b"\0")
    return b"II*\0" + struct.pack("<IH", 8, 1) + entry + bytes(4) + more


EXIF = {
    "text": exif(2, b"6\0", count=2),
    "rational": exif(5, struct.pack("<I", 26), more=struct.pack("<II", 6, 1)),
    "divided by zero": exif(10, struct.pack("<I", 26), more=struct.pack("<ii", 6, 0)),
    "zero": exif(3, b"\0\0"),
    "nine": exif(3, b"\x09\0"),
    "negative": exif(8, struct.pack("<h", -6)),
    "float": exif(11, struct.pack("<f", 6)),
    "of no type": exif(99, b"\6"),
    "empty": b"",
    "cut off": b"MM\0*\0\0",
    "elsewhere": b"II*\0" + struct.pack("<I", 2**32 - 8),
    "garbage": bytes(range(200)),
}
LONG = zlib.compress(b'{"workflow": 1}' * 300_000)
WRONG_CRC = bytearray(chunk(b"tEXt", b"a\0b"))
WRONG_CRC[-1] ^= 1

PNGS = {
    "compressed text": in_png(chunk(b"zTXt", b"a\0\0" + LONG)),
    "international text": in_png(chunk(b"iTXt", b"a\0\1\0\0\0" + LONG)),
    "many texts": in_png(*[chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(1_000_000)))] * 70),
    "text of no compression": in_png(chunk(b"zTXt", b"a\0\7abc")),
    "large xmp": in_png(chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + LONG)),
    "xmp of no orientation": in_png(chunk(b"iTXt", b'XML:com.adobe.xmp\0\0\0\0\0<x tiff:Orientation="9"/>')),
    "colour profile": in_png(chunk(b"iCCP", b"a\0\0" + LONG)),
    "colour profile of no compression": in_png(chunk(b"iCCP", b"a\0\5abc")),
    "checksum": in_png(bytes(WRONG_CRC)),
    **{f"short {kind.decode()}": in_png(chunk(kind, b"")) for kind in (b"pHYs", b"sRGB", b"acTL", b"fcTL", b"tIME")},
    **{f"exif {name}": in_png(chunk(b"eXIf", body)) for name, body in EXIF.items()},
}
JPEGS = {
    "jfif": in_jpeg(0xE0, b"JFIF"),
    "adobe": in_jpeg(0xEE, b"Adobe"),
    "several images": in_jpeg(0xE2, b"MPF\0garbage"),
    "colour profile": in_jpeg(0xE2, b"ICC_PROFILE\0"),
    "photoshop": in_jpeg(0xED, b"Photoshop 3.0\08BIM\3\xed\0\0\0\0\0\x40a"),
    "no length": JPEG[:2] + b"\xff\xe5\0\0" + JPEG[2:],
    **{f"exif {name}": in_jpeg(0xE1, b"Exif\0\0" + body) for name, body in EXIF.items()},
}


@pytest.mark.parametrize("data", PNGS.values(), ids=PNGS)
def test_a_png_is_read_whatever_its_metadata(data):
    np.testing.assert_array_equal(np.asarray(decode(data)), np.asarray(COFFEE))


@pytest.mark.parametrize("data", JPEGS.values(), ids=JPEGS)
def test_a_jpeg_is_read_whatever_its_metadata(data):
    np.testing.assert_array_equal(np.asarray(decode(data)), np.asarray(Image.open(io.BytesIO(JPEG))))


@pytest.mark.parametrize("body", EXIF.values(), ids=EXIF)
def test_a_webp_is_read_whatever_its_metadata(body):
    data = saved("WEBP", lossless=True, exif=body or b"x")
    np.testing.assert_array_equal(np.asarray(decode(data)), np.asarray(COFFEE))


@pytest.mark.parametrize("tag", [270, 274, 282, 305])
def test_a_tiff_is_read_whatever_its_metadata(tag):
    data = bytearray(saved("TIFF", dpi=(72, 72), description="a cup", software="x", tiffinfo={274: 1}))
    start = struct.unpack_from("<I", data, 4)[0]
    for entry in range(start + 2, start + 2 + 12 * struct.unpack_from("<H", data, start)[0], 12):
        if struct.unpack_from("<H", data, entry)[0] == tag:
            struct.pack_into("<HII", data, entry + 2, 2, 100, 2**32 - 16)  # text beyond the end of the file
            break
    else:
        raise AssertionError
    np.testing.assert_array_equal(np.asarray(decode(bytes(data))), np.asarray(COFFEE))


def test_orientation_counts_where_it_is_one():
    turned = np.rot90(np.asarray(COFFEE), -1)
    for data in (
        in_png(chunk(b"eXIf", exif(3, b"\6\0"))),
        in_png(chunk(b"eXIf", exif(3, b"\6\0")), chunk(b"zTXt", b"a\0\0" + LONG)),
        in_png(chunk(b"iTXt", b'XML:com.adobe.xmp\0\0\0\0\0<x tiff:Orientation="6"/>'), chunk(b"iCCP", b"a\0\5")),
    ):
        np.testing.assert_array_equal(np.asarray(decode(data)), turned)


def test_an_animated_png_gives_its_first_frame_and_a_default_image_itself():
    for default in (False, True):
        buffer = io.BytesIO()
        COFFEE.save(buffer, "PNG", save_all=True, append_images=[COFFEE.rotate(180)] * 2, default_image=default)
        np.testing.assert_array_equal(np.asarray(decode(buffer.getvalue())), np.asarray(COFFEE))

"""Every odd image: its documented three channels, or a reason."""

import io
import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from tlkit.data.images.decode import MAX_PIXELS, decode
from tlkit.errors import InputError

RED, WHITE = (255, 0, 0), (255, 255, 255)


def saved(image: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def pixels(data: bytes) -> np.ndarray:
    image = decode(data)
    assert image.mode == "RGB"
    return np.asarray(image)


def test_grey_and_one_bit_are_the_same_in_three_channels():
    ramp = Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16))
    assert (pixels(saved(ramp, "PNG")) == np.arange(256).reshape(16, 16, 1)).all()
    bits = Image.fromarray(np.eye(8, dtype=bool))
    assert (pixels(saved(bits, "PNG"))[..., 1] == 255 * np.eye(8)).all()


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_sixteen_bits_are_scaled_not_clipped(kind):
    deep = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    got = pixels(saved(Image.fromarray(deep), kind))
    np.testing.assert_array_equal(got[..., 0], np.rint(deep / 257.0))
    assert got.min() == 0
    assert got.max() == 255


def test_sixteen_bits_with_one_transparent_value():
    deep = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    got = pixels(saved(Image.fromarray(deep), "PNG", transparency=int(deep[3, 3])))
    expected = np.rint(deep / 257.0)
    expected[3, 3] = 255
    np.testing.assert_array_equal(got[..., 1], expected)


def test_sixteen_bits_where_zero_is_white():
    deep = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    got = pixels(saved(Image.fromarray(deep), "TIFF", tiffinfo={262: 0}))
    np.testing.assert_array_equal(got[..., 1], 255 - np.rint(deep / 257.0))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_is_composited_over_white(mode):
    image = Image.new("RGBA", (4, 2), (255, 0, 0, 0))
    image.paste((255, 0, 0, 255), (0, 0, 2, 2))
    image.putpixel((0, 0), (255, 0, 0, 128))
    if mode == "P":
        flat = Image.new("P", (4, 2), 0)
        flat.putpalette([0, 0, 0, 255, 0, 0])
        flat.paste(1, (0, 0, 2, 2))
        got = pixels(saved(flat, "PNG", transparency=0))
    else:
        got = pixels(saved(image.convert(mode), "PNG"))
    assert (got[:, 2:] == WHITE).all()
    if mode == "RGBA":
        assert tuple(got[1, 1]) == RED
        assert got[0, 0].tolist() == [255, 127, 127]
    elif mode == "P":
        assert tuple(got[0, 0]) == RED


def test_a_transparent_color_of_an_rgb_png_is_composited_over_white():
    image = Image.new("RGB", (2, 1), RED)
    image.putpixel((1, 0), (0, 0, 255))
    got = pixels(saved(image, "PNG", transparency=(0, 0, 255)))
    assert got.tolist() == [[list(RED), list(WHITE)]]


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr", "RGB"])
def test_jpegs_of_other_colour_spaces_keep_their_colours(mode):
    image = Image.new("RGB", (16, 16), (200, 40, 90)).convert(mode)
    got = pixels(saved(image, "JPEG", quality=95))
    assert abs(got.reshape(-1, 3).mean(0) - (200, 40, 90)).max() < 4


def test_a_ycck_jpeg_keeps_its_colours():
    # Pillow writes CMYK, inverted, with 0 at the end of the Adobe marker. With 2 there the same bytes are YCCK, and
    # what was magenta and yellow 127 becomes neutral chroma.
    data = bytearray(saved(Image.new("CMYK", (16, 16), (100, 127, 127, 0)), "JPEG", quality=95))
    marker = data.index(b"Adobe")
    assert data[marker + 11] == 0
    as_cmyk = pixels(bytes(data))[8, 8].astype(int)
    data[marker + 11] = 2
    as_ycck = pixels(bytes(data))[8, 8].astype(int)
    assert as_cmyk[0] - as_cmyk[1] > 20
    assert abs(as_ycck - as_ycck.mean()).max() < 3
    assert 90 < as_ycck.mean() < 165


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_honoured(orientation):
    upright = np.zeros((8, 16, 3), np.uint8)
    upright[:4, :8] = RED  # the mark: upper left
    undo = {
        1: lambda a: a, 2: lambda a: a[:, ::-1], 3: lambda a: a[::-1, ::-1], 4: lambda a: a[::-1],
        5: lambda a: a.transpose(1, 0, 2), 6: lambda a: np.rot90(a), 7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
        8: lambda a: np.rot90(a, -1),
    }[orientation]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = saved(Image.fromarray(np.ascontiguousarray(undo(upright))), "PNG", exif=exif)
    np.testing.assert_array_equal(pixels(data), upright)


def test_an_animation_gives_its_first_frame():
    frames = [Image.new("RGB", (6, 4), colour) for colour in (RED, (0, 255, 0), (0, 0, 255))]
    for kind in ("GIF", "WEBP", "PNG"):
        options = {"lossless": True} if kind == "WEBP" else {}
        data = saved(frames[0], kind, save_all=True, append_images=frames[1:], **options)
        assert (pixels(data) == RED).all()


def test_the_format_is_that_of_the_content_not_of_the_name(tmp_path):
    path = tmp_path / "photo.png"
    path.write_bytes(saved(Image.new("RGB", (8, 8), RED), "JPEG"))
    assert decode(path).size == (8, 8)


@pytest.mark.parametrize("size", [(1, 1), (1, 10_000), (10_000, 1)])
def test_any_proportions(size):
    assert decode(saved(Image.new("RGB", size, RED), "PNG")).size == size


def bomb() -> bytes:
    """A PNG of a few bytes that claims 60,000 x 60,000 pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


JPEG = saved(Image.effect_noise((64, 64), 90), "JPEG")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"just some words", "not an image"),
        (b"<!doctype html><p>not found", "web page"),
        (JPEG[: len(JPEG) // 2], "truncated"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 40, "not an image|damaged|broken"),
        (bomb(), "more .*pixels"),
        (saved(Image.fromarray(np.ones((4, 4), np.float32)), "TIFF"), "floating-point"),
        (saved(Image.fromarray(np.ones((4, 4), np.int32)), "TIFF"), "32-bit integers"),
    ],
    ids=["empty", "text", "html", "truncated", "broken png", "bomb", "float", "int32"],
)
def test_an_unreadable_file_has_a_reason(data, reason):
    with pytest.raises(InputError, match=reason):
        decode(data)


def test_an_image_just_over_the_limit_is_refused_before_it_is_decoded():
    side = int(MAX_PIXELS**0.5) + 1
    data = saved(Image.new("1", (side, side)), "PNG")
    with pytest.raises(InputError, match=f"{side}x{side}"):
        decode(data)


def test_a_missing_file_and_a_folder_have_reasons(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        decode(tmp_path / "nothing.jpg")
    with pytest.raises(InputError, match="folder"):
        decode(tmp_path)
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(InputError, match="not a regular file"):
        decode(tmp_path / "pipe.jpg")


def test_flipped_bytes_never_crash():
    random = np.random.default_rng(0)
    for kind in ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF"):
        whole = saved(Image.effect_noise((20, 20), 90), kind)
        for _ in range(60):
            broken = bytearray(whole)
            for position in random.integers(0, len(broken), 3):
                broken[position] ^= 1 << random.integers(0, 8)
            try:
                assert decode(bytes(broken)).mode == "RGB"
            except InputError as error:
                assert error.message

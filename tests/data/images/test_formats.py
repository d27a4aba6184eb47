"""HEIC and AVIF are read; images of other formats are refused by their names."""

import importlib.util
import io
import struct
import sys

import numpy as np
import pillow_heif
import pytest
import skimage.data
from PIL import Image

from tlkit.data.discovery import walk_files
from tlkit.data.images.decode import decode
from tlkit.data.modality import IMAGE
from tlkit.errors import InputError

COFFEE = Image.fromarray(skimage.data.coffee()).resize((64, 48))


def heic(**options) -> bytes:
    buffer = io.BytesIO()
    pillow_heif.from_pillow(COFFEE).save(buffer, quality=90, **options)
    return buffer.getvalue()


def avif() -> bytes:
    buffer = io.BytesIO()
    COFFEE.save(buffer, "AVIF", quality=90)
    return buffer.getvalue()


def test_heic_gives_the_pixels_of_libheif():
    data = heic()
    expected = np.asarray(pillow_heif.read_heif(data).to_pillow().convert("RGB"))
    np.testing.assert_array_equal(np.asarray(decode(data)), expected)
    assert abs(expected.astype(int) - np.asarray(COFFEE)).mean() < 6


def test_avif_is_read_whatever_its_name(tmp_path):
    path = tmp_path / "photo.jpg"
    path.write_bytes(avif())
    assert abs(np.asarray(decode(path)).astype(int) - np.asarray(COFFEE)).mean() < 6


def test_heic_without_its_library_is_named_with_what_to_do(monkeypatch, tmp_path):
    (tmp_path / "IMG_1.HEIC").write_bytes(heic())
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    real = importlib.util.find_spec
    monkeypatch.setattr("tlkit.data.formats.find_spec", lambda name: None if name == "pillow_heif" else real(name))
    assert list(walk_files(str(tmp_path), IMAGE)) == [str(tmp_path / "IMG_1.HEIC")]
    with pytest.raises(InputError, match=r"HEIC image; `pip install 'tlkit\[heif\]'`"):
        decode(tmp_path / "IMG_1.HEIC")


@pytest.mark.parametrize(
    ("start", "reason"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d\nsize 12\n", "Git LFS pointer.*git lfs pull"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        (b"8BPS\0\1", "Photoshop"),
        (b'<?xml version="1.0"?>\n<!-- drawn -->\n<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
        (b"<svg/>", "SVG"),
        (b"<!DOCTYPE html><html>", "web page"),
        (bytes(128) + b"DICM", "DICOM"),
        (b"II*\0\x10\0\0\0CR\2\0", "camera raw"),
        (b"FUJIFILMCCD-RAW 0201", "camera raw"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_it_is_instead_is_named(start, reason):
    with pytest.raises(InputError, match=reason):
        decode(start)


def test_the_preview_of_a_camera_raw_image_is_not_taken_for_it():
    buffer = io.BytesIO()
    COFFEE.save(buffer, "TIFF", tiffinfo={50706: struct.pack("4B", 1, 4, 0, 0)})  # DNGVersion
    with pytest.raises(InputError, match="camera raw"):
        decode(buffer.getvalue())

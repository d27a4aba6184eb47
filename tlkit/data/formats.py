"""What a file holds, by its first bytes: formats that tlkit reads, and images that it does not."""

from __future__ import annotations

import os
import re
from importlib.util import find_spec

from tlkit.data.modality import AUDIO, IMAGE, Modality

_READ = tuple(
    (re.compile(pattern, re.DOTALL), modality)
    for pattern, modality in (
        (rb"\xff\xd8\xff", IMAGE),
        (rb"\x89PNG\r\n", IMAGE),
        (rb"GIF8[79]a", IMAGE),
        (rb"RIFF....WEBP", IMAGE),
        (rb"II[*+]\x00|MM\x00[*+]", IMAGE),
        (rb"P[1-6]\s+(#[^\n]*\s+)*\d+\s", IMAGE),
        (rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\x00\x00\x00", IMAGE),
        (rb"....ftyp(avi[fs]|he[iv][cxms]|m[is]f1.{4}.*(avi[fs]|he[iv][cxms]))", IMAGE),
        (rb"RIFF....WAVE", AUDIO),
        (rb"fLaC|OggS|ID3|RF64|\xff[\xfb\xf3\xf2]", AUDIO),
    )
)

_AVIF = re.compile(rb"....ftyp(avi[fs]|m[is]f1.{4}.*avi[fs])", re.DOTALL)
_HEIF = re.compile(rb"....ftyp(he[iv][cxms]|m[is]f1.{4}.*he[iv][cxms])", re.DOTALL)
_SVG = rb"(\xef\xbb\xbf)?\s*(<\?xml.{0,300}?\?>\s*)?(<!--.{0,300}?-->\s*)*(<!DOCTYPE svg[^>]*>\s*)?<svg"

CAMERA_RAW = "a camera raw image"

_NOT_READ = tuple(
    (name, re.compile(pattern, re.DOTALL), frozenset(extensions.split()))
    for name, pattern, extensions in (
        (
            CAMERA_RAW,
            rb"II\*\x00....CR|II[RU][OS\x00]|FUJIFILMCCD-RAW|....ftypcrx",
            ".cr2 .cr3 .crw .nef .nrw .arw .sr2 .srf .dng .orf .rw2 .raf .pef .srw .3fr .erf .kdc .mrw .x3f .iiq",
        ),
        ("a JPEG 2000 image", rb"\x00\x00\x00\x0cjP  |\xff\x4f\xff\x51", ".jp2 .j2k .jpf .jpx .j2c .jpc"),
        ("a JPEG XL image", rb"\xff\x0a|\x00\x00\x00\x0cJXL ", ".jxl"),
        ("a Photoshop image", rb"8BP[SB]", ".psd .psb"),
        ("an SVG drawing", _SVG, ".svg .svgz"),
        ("a DICOM image", rb".{128}DICM", ".dcm"),
        ("an OpenEXR image", rb"\x76\x2f\x31\x01", ".exr"),
        ("a Radiance HDR image", rb"#\?RADIANCE", ".hdr"),
        ("a GIMP image", rb"gimp xcf", ".xcf"),
        ("a DDS texture", rb"DDS ", ".dds"),
        ("a QOI image", rb"qoif", ".qoi"),
        ("an icon", rb"\x00\x00\x01\x00[\x01-\x40]\x00", ".ico"),
        ("a PostScript drawing", rb"\xc5\xd0\xd3\xc6|%!PS-Adobe", ".eps"),
        ("a Targa image", rb"(?!)", ".tga"),
        ("a PCX image", rb"(?!)", ".pcx"),
    )
)
"""Image formats that tlkit does not read: name, how a file begins, and how its name ends."""


def modality_of(start: bytes) -> Modality | None:
    """Return what a file holds, by its first bytes; None unless its format is one that tlkit reads."""
    return next((modality for pattern, modality in _READ if pattern.match(start)), None)


def is_heif(start: bytes) -> bool:
    """Return True for the first bytes of a HEIC, or another HEIF, image."""
    return _HEIF.match(start) is not None


def why_not_read(start: bytes, name: str = "") -> str | None:
    """Return the reason why an image cannot be read here; None for a file that is no image, or one that can be read.

    Args:
        start: Its first bytes.
        name: Its name, whose end counts too: some formats begin with nothing of their own, or like a TIFF.
    """
    if is_heif(start):
        missing = find_spec("pillow_heif") is None
        return "it is a HEIC image; `pip install 'tlkit[heif]'` makes tlkit read those" if missing else None
    if _AVIF.match(start):
        from PIL import features

        return None if features.check("avif") else "it is an AVIF image, which this build of Pillow cannot read"
    extension = os.path.splitext(name)[1].lower()
    for kind, pattern, extensions in _NOT_READ:
        if pattern.match(start) or (extension in extensions and modality_of(start) in (None, IMAGE)):
            return not_read(kind)
    return None


def not_read(kind: str) -> str:
    """Return the reason why an image of a format that tlkit does not read is refused."""
    return f"it is {kind}, which tlkit does not read; save it as PNG, TIFF or JPEG"

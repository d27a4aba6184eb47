"""What Pillow passes over in a TIFF: strips that are missing, and that it is a camera raw image."""

from __future__ import annotations

import struct
from typing import Any

from tlkit.data.formats import CAMERA_RAW, not_read
from tlkit.data.images import jpeg
from tlkit.errors import InputError

SIGNATURES = (b"II*\0", b"MM\0*")

_HEIGHT, _OFFSETS, _ROWS, _COUNTS = 257, 273, 278, 279
_TILE_WIDTH, _TILE_ROWS, _TILE_OFFSETS, _TILE_COUNTS = 322, 323, 324, 325
_COMPRESSION, _JPEG = 259, 7
_KIND, _SUB_IMAGES, _DNG_VERSION = 254, 330, 50706
_PIXEL_TAGS = {
    *range(254, 267), 273, 277, 278, 279, 284, *range(290, 294), *range(317, 326), 330, 332, 333, 334,
    *range(336, 348), 512, 513, 514, 515, 517, *range(519, 522), *range(529, 533), 50706,
}  # fmt: skip
_ORIENTATION, _SHORT = 274, 3
_MAX_TILE = 100_000_000


def check_pixels(image: Any, data: bytes) -> None:
    """Refuse a TIFF whose pixels are not, or not all, those that would be decoded.

    Args:
        image: As Pillow opened it, before its pixels are loaded.
        data: The bytes of the file.

    Raises:
        InputError: Strips are missing, one of JPEG data ends early, a tile is larger than an image may be, or only the
            preview of a camera raw image would be read.
    """
    tags = image.tag_v2
    is_preview = _SUB_IMAGES in tags and tags.get(_KIND) == 1
    if data[8:10] == b"CR" or _DNG_VERSION in tags or is_preview:
        raise InputError(not_read(CAMERA_RAW))
    if tags.get(_TILE_WIDTH, 1) * tags.get(_TILE_ROWS, 1) > _MAX_TILE:
        raise InputError(f"its tiles have more pixels than the limit of {_MAX_TILE:,}")
    covered = sum((right - left) * (bottom - top) for _, (left, top, right, bottom), _, _ in image.tile)
    complete = covered >= image.width * image.height
    if tags.get(_COMPRESSION) == _JPEG:
        height, tiled = tags[_HEIGHT], _TILE_OFFSETS in tags
        places = zip(tags[_TILE_OFFSETS if tiled else _OFFSETS], tags[_TILE_COUNTS if tiled else _COUNTS], strict=False)
        for number, (start, count) in enumerate(places):
            markers = jpeg.read_markers(data[start : start + count])
            rows = tags[_TILE_ROWS] if tiled else tags.get(_ROWS, height)
            complete &= markers.ended and markers.height >= (rows if tiled else min(rows, height - number * rows))
    if not complete:
        raise InputError("it is damaged (its data ends before the last row)")


def without_metadata(data: bytes) -> bytes:
    """Return a TIFF whose first page has the tags that decide its pixels and, where it is a number, its orientation."""
    order = "<" if data[:2] == b"II" else ">"
    try:
        (start,) = struct.unpack_from(f"{order}I", data, 4)
        (count,) = struct.unpack_from(f"{order}H", data, start)
        entries = [data[start + 2 + 12 * number : start + 14 + 12 * number] for number in range(count)]
        heads = [struct.unpack(f"{order}HHI", entry[:8]) for entry in entries]
    except struct.error:
        return data
    kept = [
        entry
        for entry, (tag, kind, values) in zip(entries, heads, strict=True)
        if tag in _PIXEL_TAGS or (tag == _ORIENTATION and kind == _SHORT and values == 1)
    ]
    page = struct.pack(f"{order}H", len(kept)) + b"".join(kept) + bytes(4 + 12 * (count - len(kept)))
    return data[:start] + page + data[start + len(page) :]

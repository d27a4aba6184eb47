"""What a PNG needs for its pixels: metadata is left out before Pillow reads it, and missing rows are noticed."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from tlkit.errors import InputError

SIGNATURE = b"\x89PNG\r\n\x1a\n"

_PIXELS = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"}
_ORIENTATION = (b"XML:com.adobe.xmp\0", b"Raw profile type exif\0")  # text that may say which way is up
_MAX_TEXT = 100_000
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


def without_metadata(data: bytes) -> bytes:
    """Return a PNG with the chunks that decide its pixels and its orientation alone, orientation first.

    Large texts, broken colour profiles and wrong checksums of metadata make Pillow refuse an image whose pixels are
    intact.

    Args:
        data: A file that begins with :data:`SIGNATURE`.

    Raises:
        InputError: The checksum of a chunk that decides pixels is wrong.
    """
    pixels, orientation = [], []
    for kind, start, end in _chunks(data):
        body = memoryview(data)[start:end]
        if kind in _PIXELS:
            stored = data[end : end + 4]
            if len(stored) == 4 and zlib.crc32(body, zlib.crc32(kind)) != int.from_bytes(stored, "big"):
                raise InputError(f"it is damaged (the checksum of its {kind.decode()} chunk is wrong)")
            pixels.append(data[start - 8 : end + 4])
        elif kind == b"eXIf" or (bytes(body[:24]).startswith(_ORIENTATION) and _is_small_text(kind, bytes(body))):
            orientation += [data[start - 8 : end], zlib.crc32(body, zlib.crc32(kind)).to_bytes(4, "big")]
    return b"".join([SIGNATURE, *pixels[:1], *orientation, *pixels[1:]])


def has_all_rows(data: bytes) -> bool:
    """Return True if the compressed pixels of a PNG inflate to as many bytes as its size needs."""
    needed, found, inflate = None, 0, zlib.decompressobj()
    for kind, start, end in _chunks(data):
        if kind == b"IHDR":
            width, height, bits, color, _, _, interlaced = struct.unpack(">IIBBBBB", data[start : start + 13])
            row_bits = bits * _CHANNELS.get(color, 1)
            passes = _PASSES if interlaced else ((0, 0, 1, 1),)
            sizes = [(-(-(width - x) // dx), -(-(height - y) // dy)) for x, y, dx, dy in passes]
            needed = sum(rows * (1 + (columns * row_bits + 7) // 8) for columns, rows in sizes if columns > 0 < rows)
        elif kind == b"IDAT" and needed is not None:
            for block in range(start, end, 65536):
                pending = data[block : min(block + 65536, end)]
                while pending and not inflate.eof and found < needed:
                    found += len(inflate.decompress(pending, 1 << 20))
                    pending = inflate.unconsumed_tail
    return needed is not None and found >= needed


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield the kind of each chunk and where its body begins and ends; the last one may be cut off."""
    place = len(SIGNATURE)
    while place + 8 <= len(data):
        length, kind = struct.unpack(">I4s", data[place : place + 8])
        yield kind, place + 8, min(place + 8 + length, len(data))
        if kind == b"IEND":
            return
        place += 12 + length


def _is_small_text(kind: bytes, body: bytes) -> bool:
    _, _, text = body.partition(b"\0")
    if kind == b"iTXt":
        compressed, method, rest = text[:1], text[1:2], text[2:].split(b"\0", 2)
        if len(rest) < 3 or (compressed == b"\1" and method != b"\0"):
            return False
        text = rest[2]
    elif kind == b"zTXt":
        compressed, text = (b"\1" if text[:1] == b"\0" else b""), text[1:]
    else:
        return kind == b"tEXt" and len(text) <= _MAX_TEXT
    if compressed != b"\1":
        return kind == b"iTXt" and len(text) <= _MAX_TEXT
    inflate = zlib.decompressobj()
    try:
        inflate.decompress(text, _MAX_TEXT)
    except zlib.error:
        return False
    return inflate.eof

"""Check that an Ogg file is complete: decoders skip missing and damaged pages silently and return other samples.

Every page carries its number within the stream, a flag for the last page, and a checksum. Source: RFC 3533.
"""

from __future__ import annotations

import struct
import zlib
from typing import BinaryIO

_HEADER = struct.Struct("<4sBBqIIIB")
_LAST = 0x04
_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def ogg_problem(file: BinaryIO) -> str | None:
    """Return what is missing or damaged in an Ogg file, or None if it is complete.

    Args:
        file: Open for reading, at offset 0. It is read page by page, at most 65 kB at a time.
    """
    next_page: dict[int, int] = {}  # by stream: number of its next page
    open_streams: set[int] = set()
    while start := file.read(_HEADER.size):
        if len(start) < _HEADER.size or start[:4] != b"OggS":
            return "it is truncated or damaged: a page does not start where the one before it ends"
        *_, flags, _, stream, number, checksum, count = _HEADER.unpack(start)
        lengths = file.read(count)
        body = file.read(sum(lengths))
        if len(lengths) < count or len(body) < sum(lengths):
            return "it is truncated in the middle of a page"
        if _checksum(start[:22] + bytes(4) + start[26:] + lengths + body) != checksum:
            return f"it is damaged: the checksum of page {number:,} is wrong"
        if number != next_page.get(stream, 0):
            return f"it is truncated: page {next_page.get(stream, 0):,} is missing"
        next_page[stream] = number + 1
        open_streams = open_streams - {stream} if flags & _LAST else open_streams | {stream}
    return "it is truncated: its last page is missing" if open_streams else None


def _checksum(page: bytes) -> int:
    """Compute Ogg's CRC-32: zlib's polynomial with bits in the opposite order, starting at zero."""
    reflected = zlib.crc32(page.translate(_MIRRORED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{reflected:032b}"[::-1], 2)

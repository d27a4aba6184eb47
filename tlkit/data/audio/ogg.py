"""Is an Ogg file whole? Its decoders pass over what is missing and damaged, and give other sound without a word.

A page says which of its stream it is, whether it is the last, and carries a checksum. Source: RFC 3533.
"""

from __future__ import annotations

import struct
import zlib
from typing import BinaryIO

_HEADER = struct.Struct("<4sBBqIIIB")
_LAST = 0x04
_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def ogg_problem(file: BinaryIO) -> str | None:
    """What is missing or damaged in an Ogg file, in words; None when it is whole.

    It is read page by page, 65 kB at most.

    Args:
        file: Open for reading, at its beginning.
    """
    following: dict[int, int] = {}  # of each stream, the number that its next page must have
    open_streams: set[int] = set()
    while start := file.read(_HEADER.size):
        if len(start) < _HEADER.size or start[:4] != b"OggS":
            return "it is cut or damaged: a page does not begin where the one before it ends"
        *_, flags, _, stream, number, checksum, count = _HEADER.unpack(start)
        lengths = file.read(count)
        body = file.read(sum(lengths))
        if len(lengths) < count or len(body) < sum(lengths):
            return "it is cut in the middle of a page"
        if _checksum(start[:22] + bytes(4) + start[26:] + lengths + body) != checksum:
            return f"it is damaged: page {number:,} is not what was written"
        if number != following.get(stream, 0):
            return f"it is cut: page {following.get(stream, 0):,} is missing"
        following[stream] = number + 1
        open_streams = open_streams - {stream} if flags & _LAST else open_streams | {stream}
    return "it is cut: its last page is missing" if open_streams else None


def _checksum(page: bytes) -> int:
    """Ogg's CRC: zlib's polynomial, from the other end of each byte and of the sum, starting at zero."""
    reflected = zlib.crc32(page.translate(_MIRRORED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{reflected:032b}"[::-1], 2)

"""What a JPEG says of itself in its markers, and whether its data ends early.

libjpeg fills what is missing before the end marker with grey, or with what earlier scans have, and returns no error.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

SIGNATURE = b"\xff\xd8\xff"

_NEXT_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_RESTART = re.compile(rb"\xff[\xd0-\xd7]")
_STANDALONE = {0x01, *range(0xD0, 0xD8)}
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_ARITHMETIC = range(0xC9, 0xD0)
_COLOUR = {0xE0, 0xEE}  # JFIF and Adobe say what the colours are
_SHORTEST_COLOUR = 16
_METADATA = {*range(0xE1, 0xF0), 0xFE} - _COLOUR
_NOISE = bytes(random.Random(0).choices(range(1, 255), k=512))


@dataclass(frozen=True)
class Markers:
    """The structure of a JPEG.

    Attributes:
        segments: ``(start, end)`` of each marker with its content, but not of the compressed data after it.
        scans: Where the compressed data of each scan begins and ends.
        height: Of the image, in pixels.
        components: Colour components.
        arithmetic: Compressed by arithmetic coding, which may end early by design.
        complete: Every coefficient of every component is in a scan, to its last bit.
        ended: It has an end marker.
    """

    segments: tuple[tuple[int, int], ...]
    scans: tuple[tuple[int, int], ...]
    height: int
    components: int
    arithmetic: bool
    complete: bool
    ended: bool


def read_markers(data: bytes) -> Markers:
    """Read the markers of a JPEG; damaged ones end the list."""
    segments, scans = [], []
    height, components, arithmetic, ended, progressive = 0, 0, False, False, False
    bits: dict[int, list[int]] = {}  # per component: position of the last bit of each coefficient that is known
    place = 2
    while found := _NEXT_MARKER.search(data, place):
        start, place = found.end() - 2, found.end()
        code = data[start + 1]
        if code == 0xD9:
            ended = True
            break
        if code in _STANDALONE:
            continue
        place += int.from_bytes(data[place : place + 2], "big")
        segments.append((start, place))
        body = data[start + 4 : place]
        if code in _FRAMES and len(body) >= 6:
            height, components = int.from_bytes(body[1:3], "big"), body[5]
            arithmetic, progressive = code in _ARITHMETIC, code in (0xC2, 0xCA)
            bits = {number: [99] * 64 for number in body[6 : 6 + 3 * components : 3]}
        elif code == 0xDA and body:
            first, last, low = (*body[-3:-1], body[-1] & 15) if progressive else (0, 63, 0)
            for number in body[1 : 1 + 2 * body[0] : 2]:
                if number in bits:
                    bits[number][first : last + 1] = [low] * (min(last, 63) + 1 - first)
            following = _NEXT_MARKER.search(data, place)
            end = following.end() - 2 if following else len(data)
            scans.append((place, end))
            place = end
    complete = bool(bits) and all(low == 0 for each in bits.values() for low in each)
    return Markers(tuple(segments), tuple(scans), height, components, arithmetic, complete, ended)


def without_metadata(data: bytes) -> bytes:
    """Return a JPEG without the application segments and comments that do not decide its pixels."""
    kept, place = [], 0
    for start, end in read_markers(data).segments:
        code = data[start + 1]
        if code in _METADATA or (code in _COLOUR and end - start < _SHORTEST_COLOUR):
            kept.append(data[place:start])
            place = end
    return b"".join([*kept, data[place:]])


def with_noise(data: bytes, markers: Markers) -> bytes:
    """Return a JPEG with noise where the data of each scan, and of each restart interval, ends.

    A decoder that has all it needs passes over the noise to the next marker, and returns the same pixels. One that
    lacks data takes the noise for it, and returns others.
    """
    parts, place = [], 0
    for start, end in markers.scans:
        stop = end if markers.ended or (start, end) != markers.scans[-1] else len(data[:end].rstrip(b"\0"))
        parts += [data[place:start], _RESTART.sub(lambda found: _NOISE + found[0], data[start:stop]), _NOISE]
        place = end
    return b"".join([*parts, data[place:] if markers.ended else b"\xff\xd9"])

"""One way from the bytes of a recording to the sound that a network hears; every command goes through here.

What comes out, always one channel at :data:`RATE`, :data:`SAMPLES` long:

===========================  ==================================================================
several channels             their mean
another rate                 resampled by soxr, quality HQ
longer                       the middle; only that part is read, whatever the length
shorter                      zeros at the end
8, 16, 24, 32 bits, float    scaled to -1…1; float as it is
===========================  ==================================================================

A cut file is refused where it says how long it was: WAV and FLAC do, Ogg numbers its pages, MP3 where its encoder wrote
that down.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from importlib.util import find_spec
from io import BytesIO
from types import ModuleType
from typing import Any

import numpy as np

from tlkit.data.audio.ogg import ogg_problem
from tlkit.data.file_checks import check_regular, describe_mismatch, start_of, why_unreadable
from tlkit.data.modality import AUDIO
from tlkit.errors import InputError, UsageError

RATE = 12_000
"""Samples a second."""
SAMPLES = 349_440
"""29.12 seconds."""

FORMATS = {"WAV", "WAVEX", "RF64", "FLAC", "OGG", "MP3"}
"""What may be read; the content says which, never the name."""

DECODER = 1
"""Raised when the same bytes become other sound; cached features are known by it and by the versions of libraries."""

EXTRA = "pip install 'tlkit[audio]'"

_RATES = (1_000, 768_000)
_LOUDEST = 1e6
_MARGIN = 1
"""Seconds that are read before and after the window, so that the resampling filter finds there what it needs."""
_SLACK = 0.1
"""Seconds by which encoders of MP3 are wrong about their own length."""
_BLOCK = 1 << 20
"""Numbers, of all channels together, that are decoded at a time."""
_UNKNOWN_LENGTHS = {0xFFFFFFFF, 0xFFFFFF00, 0x7FFFFFFF, 0x7FFFF000}
"""What programs that write to a pipe put into a WAV header for a length that they cannot know."""


def check_installed() -> None:
    """Refuse before any work when there is nothing to decode with.

    Raises:
        UsageError: The extra is not installed.
    """
    missing = [name for name in ("soundfile", "soxr") if find_spec(name) is None]
    if missing:
        raise UsageError(
            f"Audio needs {' and '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not installed here.",
            hint=f"Run `{EXTRA}`.",
        )


def decode(source: str | int | bytes) -> np.ndarray:
    """Read the part of a recording that a network hears.

    Args:
        source: A path, the descriptor of an open file at its beginning, or the bytes of a file.

    Returns:
        ``(SAMPLES,)`` float32.

    Raises:
        InputError: No recording, damaged, cut, empty, or of a kind with no meaning as sound. The message is the reason
            alone; who calls knows the name.
    """
    import soundfile

    if isinstance(source, str):
        try:
            check_regular(source, AUDIO)
            with open(source, "rb") as file:
                return decode(file.fileno())
        except OSError as error:
            raise InputError(why_unreadable(error)) from error
    start = _start(source)
    try:
        with soundfile.SoundFile(BytesIO(source) if isinstance(source, bytes) else source, closefd=False) as recording:
            _check(recording, source)
            return _middle(recording)
    except soundfile.LibsndfileError as error:
        if "unrecogni" in str(error) or "Format not" in str(error) or not start:
            raise InputError(describe_mismatch(start, AUDIO)) from error
        raise InputError(f"it is damaged ({_plain(error)})") from error
    except RuntimeError as error:
        raise InputError(f"it is damaged ({_plain(error)})") from error


def _start(source: int | bytes) -> bytes:
    if isinstance(source, bytes):
        return start_of(source)
    start = os.read(source, 512)
    os.lseek(source, 0, os.SEEK_SET)
    return start


def _plain(error: Exception) -> str:
    """The words of libsndfile without the object's address."""
    return str(getattr(error, "error_string", None) or error).strip().rstrip(".")


def _check(recording: Any, source: int | bytes) -> None:
    if recording.format not in FORMATS:
        raise InputError(f"it is {recording.format}, and WAV, FLAC, OGG and MP3 are read here")
    if not _RATES[0] <= recording.samplerate <= _RATES[1]:
        raise InputError(
            f"it claims {recording.samplerate:,} samples a second, and {_RATES[0]:,} to {_RATES[1]:,} make sense"
        )
    if recording.frames <= 0:
        raise InputError("it holds no sound")
    if recording.format in ("WAV", "WAVEX"):
        said = re.search(r"^data\s*:\s*(\d+) \(should be (\d+)\)", recording.extra_info, re.MULTILINE)
        if said and int(said[1]) > int(said[2]) and int(said[1]) not in _UNKNOWN_LENGTHS:
            raise InputError(f"it is cut: {int(said[2]):,} of {int(said[1]):,} bytes of sound are there")
    if recording.format == "OGG":
        with BytesIO(source) if isinstance(source, bytes) else open(os.dup(source), "rb") as file:
            place = 0 if isinstance(source, bytes) else os.lseek(source, 0, os.SEEK_CUR)
            file.seek(0)  # the two descriptors share their place in the file
            problem = ogg_problem(file)
            if not isinstance(source, bytes):
                os.lseek(source, place, os.SEEK_SET)
        if problem:
            raise InputError(problem)
    if recording.format == "FLAC":  # its header names a length that nothing has checked
        try:
            recording.seek(recording.frames - 1)
            whole = len(recording.read(1)) == 1
        except RuntimeError:
            whole = False
        if not whole:
            raise InputError(f"it is cut or damaged: the last of its {recording.frames:,} frames cannot be read")


def _middle(recording: Any) -> np.ndarray:
    """The window, ``(SAMPLES,)`` float32.

    It starts on a whole second of the recording, which is a whole sample at either rate, so what comes out of the
    resampler is what it would give for all of the recording.
    """
    rate, frames = recording.samplerate, recording.frames
    whole = -(-frames * RATE // rate)
    first = max(0, (whole - SAMPLES) // 2)
    second = max(0, first // RATE - _MARGIN)
    end = min(frames, (-(-(first + SAMPLES) // RATE) + _MARGIN) * rate)
    sound = _read(recording, second * rate, end)
    if not np.isfinite(sound).all():
        raise InputError("it holds samples that are no number")
    if np.abs(sound).max(initial=0) > _LOUDEST:
        raise InputError(f"it holds samples beyond {_LOUDEST:,.0f}, and sound is -1 to 1")
    if rate != RATE:
        sound = _resample(sound, rate)
    sound = sound[first - second * RATE :][:SAMPLES]
    return np.pad(sound, (0, SAMPLES - len(sound)))


def _read(recording: Any, start: int, end: int) -> np.ndarray:
    """Frames ``start`` to ``end``, the mean of all channels, float32; a block at a time, so memory stays flat."""
    if recording.format == "MP3":
        # Its frames lean on those before: a jump gives other numbers. soundfile jumps after each read where it can.
        recording.seekable = lambda: False
        for block in _blocks(recording, start):
            del block
    else:
        recording.seek(start)
    sound = np.zeros(end - start, np.float32)
    done = 0
    for block in _blocks(recording, end - start):
        sound[done : done + len(block)] = block.mean(axis=1, dtype=np.float32)
        done += len(block)
    if end - start - done > recording.samplerate * _SLACK:
        raise InputError(f"it is cut: {start + done:,} of {recording.frames:,} frames are there")
    return sound[:done]


def _blocks(recording: Any, frames: int) -> Iterator[np.ndarray]:
    """The next frames, ``(frames, channels)`` float32, in parts; fewer where the file ends."""
    step = max(1, _BLOCK // recording.channels)
    while frames > 0:
        block = recording.read(min(step, frames), dtype="float32", always_2d=True)
        if not len(block):
            return
        yield block
        frames -= len(block)


def _resample(sound: np.ndarray, rate: int) -> np.ndarray:
    soxr: ModuleType = __import__("soxr")
    return np.asarray(soxr.resample(sound, rate, RATE, quality="HQ"))

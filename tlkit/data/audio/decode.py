"""Decode audio files to a fixed window of mono samples. Every command decodes here.

The result is always one channel at :data:`RATE`, :data:`SAMPLES` long:

===========================  ==================================================================
several channels             their mean
another sample rate          resampled by soxr, quality HQ
longer                       the middle; only that part is read, however long the recording
shorter                      zero-padded at the end
8, 16, 24, 32 bits, float    integers scaled to -1…1; float unchanged
===========================  ==================================================================

Truncated files are refused where the format records the length: WAV and FLAC have it in the header, Ogg numbers its
pages, and MP3 has it if the encoder wrote a Xing header.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from io import BytesIO
from types import ModuleType
from typing import Any

import numpy as np

from tlkit.data.audio.ogg import ogg_problem
from tlkit.data.file_checks import check_regular, describe_mismatch, start_of, why_unreadable
from tlkit.data.modality import AUDIO
from tlkit.errors import InputError

RATE = 12_000
"""Sample rate, in Hz."""
SAMPLES = 349_440
"""Length of the window: 29.12 seconds."""

FORMATS = {"WAV", "WAVEX", "RF64", "FLAC", "OGG", "MP3"}
"""Formats that may be read; recognised by the file's content, never by its name."""

DECODER = 1
"""Version of this module's output, part of the provenance: increment when the same file decodes to other samples."""

_MIN_RATE, _MAX_RATE = 1_000, 768_000
_MAX_AMPLITUDE = 1e6
_MARGIN = 1
"""Seconds to read before and after the window, for the resampling filter."""
_SLACK = 0.1
"""Tolerance for the length in an MP3 header, in seconds: encoders round it."""
_BLOCK = 1 << 20
"""Values, over all channels, to decode at a time."""
_UNKNOWN_LENGTHS = {0xFFFFFFFF, 0xFFFFFF00, 0x7FFFFFFF, 0x7FFFF000}
"""Placeholders in the WAV headers of programs that write to a pipe and cannot know the length."""


def decode(source: str | int | bytes) -> np.ndarray:
    """Decode the middle of a recording.

    Args:
        source: A path, a file descriptor at offset 0, or the bytes of a file.

    Returns:
        ``(SAMPLES,)`` float32, nominally -1 to 1, at :data:`RATE`.

    Raises:
        InputError: Not audio, damaged, truncated, empty, or with values that cannot be audio. The message is the
            reason alone, without the file's name.
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
            return _read_window(recording)
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
    """Return libsndfile's message without the object's memory address."""
    return str(getattr(error, "error_string", None) or error).strip().rstrip(".")


def _check(recording: Any, source: int | bytes) -> None:
    if recording.format not in FORMATS:
        raise InputError(f"it is {recording.format}, but only WAV, FLAC, OGG and MP3 are supported")
    if not _MIN_RATE <= recording.samplerate <= _MAX_RATE:
        raise InputError(
            f"its sample rate is {recording.samplerate:,} Hz; {_MIN_RATE:,} to {_MAX_RATE:,} Hz are supported"
        )
    if recording.frames <= 0:
        raise InputError("it holds no samples")
    if recording.format in ("WAV", "WAVEX"):
        sizes = re.search(r"^data\s*:\s*(\d+) \(should be (\d+)\)", recording.extra_info, re.MULTILINE)
        if sizes and int(sizes[1]) > int(sizes[2]) and int(sizes[1]) not in _UNKNOWN_LENGTHS:
            raise InputError(f"it is truncated: {int(sizes[2]):,} of {int(sizes[1]):,} bytes of audio are present")
    if recording.format == "OGG":
        with BytesIO(source) if isinstance(source, bytes) else open(os.dup(source), "rb") as file:
            offset = 0 if isinstance(source, bytes) else os.lseek(source, 0, os.SEEK_CUR)
            file.seek(0)  # both descriptors share one file offset
            problem = ogg_problem(file)
            if not isinstance(source, bytes):
                os.lseek(source, offset, os.SEEK_SET)
        if problem:
            raise InputError(problem)
    if recording.format == "FLAC":  # libsndfile trusts the length in its header
        try:
            recording.seek(recording.frames - 1)
            complete = len(recording.read(1)) == 1
        except RuntimeError:
            complete = False
        if not complete:
            raise InputError(f"it is truncated or damaged: the last of its {recording.frames:,} frames cannot be read")


def _read_window(recording: Any) -> np.ndarray:
    """Read the middle of a recording, ``(SAMPLES,)`` float32.

    Reading starts at a whole second, which is a whole sample at both rates, so resampling the part gives what
    resampling the whole recording would.
    """
    rate, frames = recording.samplerate, recording.frames
    resampled = -(-frames * RATE // rate)
    first = max(0, (resampled - SAMPLES) // 2)
    second = max(0, first // RATE - _MARGIN)
    end = min(frames, (-(-(first + SAMPLES) // RATE) + _MARGIN) * rate)
    sound = _read(recording, second * rate, end)
    if not np.isfinite(sound).all():
        raise InputError("it holds NaN or infinite samples")
    if np.abs(sound).max(initial=0) > _MAX_AMPLITUDE:
        raise InputError(f"it holds samples beyond {_MAX_AMPLITUDE:,.0f}; audio is -1 to 1")
    if rate != RATE:
        sound = _resample(sound, rate)
    sound = sound[first - second * RATE :][:SAMPLES]
    return np.pad(sound, (0, SAMPLES - len(sound)))


def _read(recording: Any, start: int, end: int) -> np.ndarray:
    """Read frames ``start`` to ``end``, averaged over channels, float32; in blocks, to bound memory."""
    if recording.format == "MP3":
        # MP3 frames depend on earlier ones, so seeking changes the samples; soundfile seeks after each read if it can
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
        raise InputError(f"it is truncated: {start + done:,} of {recording.frames:,} frames are present")
    return sound[:done]


def _blocks(recording: Any, frames: int) -> Iterator[np.ndarray]:
    """Yield the next frames in blocks of ``(n, channels)`` float32; fewer if the file ends."""
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

"""Decoding of audio files: every format, and files that are refused."""

import struct
import tracemalloc

import numpy as np
import pytest
import soundfile
import soxr
from PIL import Image

from tlkit.data.audio.decode import RATE, SAMPLES, decode
from tlkit.data.audio.preprocessor import MelSpectrogramPreprocessor
from tlkit.errors import InputError


def chirp(rate, seconds, channels=1):
    """A tone that rises, other in each channel, ``(frames, channels)``."""
    t = np.arange(int(rate * seconds)) / rate
    return np.stack([0.4 * np.sin(2 * np.pi * (200 + 90 * n + 9 * t) * t) for n in range(channels)], axis=1)


def whole(path):
    """What the window should be, from the whole recording at once."""
    sound, rate = soundfile.read(path, dtype="float32", always_2d=True)
    sound = soxr.resample(sound.mean(axis=1), rate, RATE, quality="HQ")
    first = max(0, (len(sound) - SAMPLES) // 2)
    sound = sound[first : first + SAMPLES]
    return np.pad(sound, (0, SAMPLES - len(sound)))


def reason(source) -> str:
    with pytest.raises(InputError) as caught:
        decode(str(source))
    return caught.value.message


@pytest.mark.parametrize(
    ("name", "rate", "seconds", "channels", "subtype"),
    [
        ("a.wav", 44_100, 37.3, 2, "PCM_16"),
        ("a.wav", 192_000, 31, 1, "PCM_24"),
        ("a.wav", 11_025, 40, 3, "FLOAT"),
        ("a.wav", 8_000, 5, 1, "PCM_U8"),
        ("a.wav", 12_000, 29.12, 1, "DOUBLE"),
        ("a.flac", 32_000, 42.1, 2, None),
        ("a.ogg", 16_000, 35, 2, "VORBIS"),
        ("a.mp3", 44_100, 41, 1, None),
    ],
)
def test_the_middle_equals_that_of_the_whole_recording(tmp_path, name, rate, seconds, channels, subtype):
    path = tmp_path / name
    soundfile.write(path, chirp(rate, seconds, channels), rate, subtype=subtype)
    found = decode(str(path))
    assert found.shape == (SAMPLES,)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, whole(path), atol=2e-6)
    np.testing.assert_array_equal(decode(path.read_bytes()), found)


def test_a_short_recording_is_zero_padded(tmp_path):
    for rate in (12_000, 44_100):
        soundfile.write(tmp_path / "one.wav", np.array([0.5]), rate)
        found = decode(str(tmp_path / "one.wav"))
        assert found.shape == (SAMPLES,)
        assert not found[1:].any()
    soundfile.write(tmp_path / "second.wav", chirp(8_000, 1), 8_000)
    found = decode(str(tmp_path / "second.wav"))
    assert found[11_000:12_000].any()
    assert not found[12_000:].any()


def test_hours_take_no_more_memory_than_minutes(tmp_path):
    path = tmp_path / "long.wav"
    frames = 44_100 * 3600 * 2
    header = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + 2 * frames, b"WAVE", b"fmt ", 16, 1, 1, 44_100, 88_200, 2,
                         16, b"data", 2 * frames)  # fmt: skip
    with open(path, "wb") as file:
        file.write(header)
        file.seek(len(header) + frames)  # a tone in the middle of a file that is sparse
        file.write((chirp(44_100, 4)[:, 0] * 32_767).astype("<i2").tobytes())
        file.truncate(len(header) + 2 * frames)
    tracemalloc.start()
    found = decode(str(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 30e6
    middle = SAMPLES // 2
    assert np.abs(found[: middle - 100]).max() < 1e-3
    assert np.abs(found[middle + 1000 : middle + 3 * RATE]).max() > 0.3


@pytest.mark.parametrize("length", [0, 0xFFFFFFFF])
def test_a_length_that_a_pipe_could_not_know_is_found(tmp_path, length):
    soundfile.write(tmp_path / "a.wav", chirp(12_000, 2), 12_000, subtype="PCM_16")
    data = bytearray((tmp_path / "a.wav").read_bytes())
    data[40:44] = struct.pack("<I", length)
    (tmp_path / "pipe.wav").write_bytes(data)
    if length:
        np.testing.assert_array_equal(decode(str(tmp_path / "pipe.wav")), decode(str(tmp_path / "a.wav")))
    else:
        assert "no samples" in reason(tmp_path / "pipe.wav")


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("empty.wav", b"", "it is empty"),
        ("text.wav", b"Dear sir,\nno sound here.\n" * 40, "it is not an audio clip in a supported format"),
        ("page.mp3", b"<!DOCTYPE html><html>", "it is a web page or XML, not an audio clip"),
        ("magic.flac", b"fLaC" + bytes(100), "it is"),
        ("riff.wav", b"RIFF\x00\x00\x00\x00WAVEfmt ", "it is"),
    ],
)
def test_a_file_that_is_not_audio_is_refused(tmp_path, name, content, expected):
    (tmp_path / name).write_bytes(content)
    assert reason(tmp_path / name).startswith(expected)


def test_what_is_missing_or_no_file(tmp_path):
    assert reason(tmp_path / "none.wav") == "there is no such file"
    (tmp_path / "x.wav").mkdir()
    assert reason(tmp_path / "x.wav") == "it is a folder without audio clips"
    Image.new("RGB", (4, 4)).save(tmp_path / "x.wav" / "a.png")
    assert reason(tmp_path / "x.wav") == ("it is a folder of images, but the network takes audio clips")
    Image.new("RGB", (4, 4)).save(tmp_path / "y.wav", "PNG")
    assert reason(tmp_path / "y.wav") == "it is an image, but the network takes audio clips"


def test_invalid_samples_are_refused(tmp_path):
    for value, expected in ((np.nan, "NaN or infinite"), (np.inf, "NaN or infinite"), (1e20, "audio is -1 to 1")):
        sound = chirp(12_000, 1)
        sound[5] = value
        soundfile.write(tmp_path / "a.wav", sound, 12_000, subtype="FLOAT")
        assert expected in reason(tmp_path / "a.wav")
    soundfile.write(tmp_path / "none.wav", np.zeros((0, 1)), 12_000)
    assert reason(tmp_path / "none.wav") == "it holds no samples"
    soundfile.write(tmp_path / "slow.wav", chirp(50, 2), 50)
    assert "its sample rate is 50 Hz" in reason(tmp_path / "slow.wav")


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg"])
def test_a_truncated_recording_is_refused(tmp_path, name):
    soundfile.write(tmp_path / name, chirp(22_050, 40), 22_050)
    data = (tmp_path / name).read_bytes()
    for share in (0.3, 0.6, 0.95):
        (tmp_path / f"cut-{name}").write_bytes(data[: int(share * len(data))])
        assert reason(tmp_path / f"cut-{name}").startswith("it is truncated")


def test_an_ogg_with_a_hole_or_a_flipped_bit_is_refused(tmp_path):
    """Its decoder would give other sound, and no word."""
    soundfile.write(tmp_path / "a.ogg", chirp(22_050, 40), 22_050)
    data = (tmp_path / "a.ogg").read_bytes()
    pages = [place for place in range(len(data)) if data[place : place + 4] == b"OggS"]
    first, last = pages[len(pages) // 2], pages[len(pages) // 2 + 2]
    flipped = bytearray(data)
    flipped[first + 100] ^= 1
    for damaged, problem in (
        (data[:first] + data[last:], "it is truncated: page"),
        (data[: pages[-1]], "its last page is missing"),
        (bytes(flipped), "it is damaged: the checksum of page"),
    ):
        (tmp_path / "b.ogg").write_bytes(damaged)
        assert problem in reason(tmp_path / "b.ogg")
        with pytest.raises(InputError, match=problem):
            decode(damaged)


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.mp3"])
def test_damage_anywhere_gives_a_reason_or_finite_samples(tmp_path, name):
    soundfile.write(tmp_path / name, chirp(8_000, 2), 8_000)
    data, random = (tmp_path / name).read_bytes(), np.random.default_rng(0)
    for _ in range(60):
        damaged = bytearray(data)
        for place in random.integers(0, min(len(data), 400), 3):
            damaged[place] = random.integers(256)
        try:
            assert np.isfinite(decode(bytes(damaged))).all()
        except InputError as error:
            assert error.message


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path, monkeypatch):
    soundfile.write(tmp_path / "a.wav", chirp(12_000, 1), 12_000)
    real = decode

    def meddling(source):
        with open(tmp_path / "a.wav", "ab") as file:
            file.write(b"more")
        return real(source)

    monkeypatch.setattr("tlkit.data.audio.preprocessor.decode", meddling)
    with pytest.raises(InputError, match="changed while it was read"):
        MelSpectrogramPreprocessor().load_with_digest(str(tmp_path / "a.wav"))

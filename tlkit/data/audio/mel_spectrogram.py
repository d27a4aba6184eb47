"""Compute the mel-spectrogram that MusicTaggerCRNN was trained on, in NumPy.

Source: librosa 0.5, as called by ``keras/applications/audio_conv_utils.py`` (Keras 1.2.2): STFT with 512-sample frames,
hop 256, periodic Hann window, centred with reflection padding; power; 96 bands on Slaney's mel scale, area-normalized
(``librosa/filters.py``); squared once more; in decibels, at most 80 below the maximum.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from tlkit.data.audio.decode import RATE

N_FFT, HOP, BANDS = 512, 256, 96
MIN_POWER, TOP_DB = 1e-10, 80.0

# Slaney's scale (Auditory Toolbox, 1998): linear, 200/3 Hz per mel, up to 1000 Hz; then 27 mels per factor of 6.4.
_LINEAR, _CORNER, _LOG_STEP = 200 / 3, 1000.0, np.log(6.4) / 27


def _hertz(mels: np.ndarray) -> np.ndarray:
    corner = _CORNER / _LINEAR
    return np.where(mels < corner, mels * _LINEAR, _CORNER * np.exp(_LOG_STEP * (mels - corner)))


@cache
def mel_filters() -> np.ndarray:
    """Return the filter bank, ``(BANDS, N_FFT // 2 + 1)`` float32: triangles of equal area, low bands first."""
    top = _CORNER / _LINEAR + np.log(RATE / 2 / _CORNER) / _LOG_STEP
    edges = _hertz(np.linspace(0, top, BANDS + 2))[:, np.newaxis]
    frequencies = np.linspace(0, RATE / 2, N_FFT // 2 + 1)
    rising = (frequencies - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - frequencies) / (edges[2:] - edges[1:-1])
    triangles = np.maximum(0, np.minimum(rising, falling))
    return np.asarray(triangles * 2 / (edges[2:] - edges[:-2]), np.float32)


def mel_spectrogram(sound: np.ndarray) -> np.ndarray:
    """Compute the mel-spectrogram of a sound.

    Args:
        sound: ``(samples,)`` float32 at :data:`tlkit.data.audio.decode.RATE` Hz, at least 257 samples.

    Returns:
        ``(BANDS, 1 + samples // HOP)`` float32, decibels, low bands first.
    """
    window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(N_FFT) / N_FFT)).astype(np.float32)
    padded = np.pad(sound, N_FFT // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, N_FFT)[::HOP]
    power = np.abs(np.fft.rfft(frames * window)) ** 2
    mel = mel_filters() @ power.T.astype(np.float32)
    decibels = 10 * np.log10(np.maximum(MIN_POWER, mel * mel))
    return np.asarray(np.maximum(decibels, decibels.max() - TOP_DB), np.float32)

"""The mel-spectrogram, against SciPy and formulas written otherwise, and against numbers of librosa."""

import numpy as np
import scipy.signal

from tlkit.data.audio.mel_spectrogram import mel_filters, mel_spectrogram


def chord() -> np.ndarray:
    """45 tones that swell and fade, 29.12 seconds."""
    t = np.arange(349_440) / 12_000
    tones = sum(0.02 * np.sin(2 * np.pi * (97 + 131 * k) * t + k * k) for k in range(45))
    return (tones * (0.2 + 0.8 * np.abs(np.sin(t)))).astype(np.float32)


def mel_of(hertz: float) -> float:
    return 3 * hertz / 200 if hertz < 1000 else 15 + 27 * np.log(hertz / 1000) / np.log(6.4)


def bands() -> np.ndarray:
    """The filters, by looking each mel up in a table of every tenth of a hertz."""
    table = np.arange(0, 6000.05, 0.1)
    mels = np.vectorize(mel_of)(table)
    edges = np.interp(np.linspace(0, mels[-1], 98), mels, table)
    found = np.zeros((96, 257))
    for band in range(96):
        low, middle, high = edges[band : band + 3]
        for column in range(257):
            found[band, column] = np.interp(column * 12_000 / 512, (low, middle, high), (0, 2 / (high - low), 0))
    return found


def test_the_bands_are_triangles_of_slaney():
    np.testing.assert_allclose(mel_filters(), bands(), atol=1e-6)


def test_it_equals_an_independent_computation():
    sound = chord().astype(np.float64)
    mirrored = np.concatenate([sound[256:0:-1], sound, sound[-2:-258:-1]])
    _, _, complex_frames = scipy.signal.stft(
        mirrored, window="hann", nperseg=512, noverlap=256, boundary=None, padded=False, scaling="spectrum"
    )
    amplitudes = np.abs(complex_frames) * scipy.signal.get_window("hann", 512).sum()
    decibels = 20 * np.log10(np.maximum(bands() @ amplitudes**2, 1e-5))
    expected = np.maximum(decibels, decibels.max() - 80)
    found = mel_spectrogram(chord())
    assert found.shape == (96, 1366)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=2e-2)  # decibels; the quietest are a billionth of the loudest
    assert np.abs(found - expected).mean() < 1e-4


# librosa 0.11.0 of chord(): 10·log10 of melspectrogram(sr=12000, n_fft=512, hop_length=256, n_mels=96, power=2.0,
# pad_mode="reflect") ** 2 as power_to_db(ref=1.0, amin=1e-10, top_db=80) gives it, rows 0, 7, 30, 60, 95 and columns
# 0, 1, 300, 700, 1364, 1365; then mean, standard deviation, min and max of all.
GOLDEN = [
    [-53.9954, -93.9257, -93.9257, -93.9257, -93.9257, -31.1082],
    [-46.6144, -40.4773, -35.2397, -18.7209, -18.11, -31.3441],
    [-45.213, -41.3449, -36.1342, -19.6019, -18.9688, -32.1582],
    [-48.3238, -52.4769, -47.2343, -30.7232, -30.1201, -24.5927],
    [-51.1185, -49.5269, -44.3059, -27.7784, -27.1532, -25.7289],
]
SUMMARY = (-35.374905, 16.018005, -93.92573, -13.92573)


def test_it_equals_librosa():
    found = mel_spectrogram(chord())
    np.testing.assert_allclose(found[np.ix_([0, 7, 30, 60, 95], [0, 1, 300, 700, 1364, 1365])], GOLDEN, atol=1e-3)
    np.testing.assert_allclose((found.mean(), found.std(), found.min(), found.max()), SUMMARY, atol=1e-3)


def test_silence_is_minus_100_decibels():
    np.testing.assert_allclose(mel_spectrogram(np.zeros(349_440, np.float32)), -100, atol=1e-4)

"""Audio preprocessing: decode, resample, mel-spectrogram."""

from __future__ import annotations

import hashlib
import math
import os
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
from PIL import Image

from tlkit.data.audio.decode import DECODER, RATE, SAMPLES, decode
from tlkit.data.audio.mel_spectrogram import BANDS, HOP, mel_spectrogram
from tlkit.data.discovery import is_stream
from tlkit.data.file_checks import bytes_digest, check_regular, why_unreadable
from tlkit.data.modality import AUDIO, Modality
from tlkit.data.streams import read_stream
from tlkit.errors import InputError
from tlkit.utils.extras import needs

SIZE = (BANDS, 1 + SAMPLES // HOP)
PREPROCESSING, RESIZE_MODE = "melspectrogram", "middle"


@dataclass(frozen=True)
class MelSpectrogramPreprocessor:
    """A :class:`tlkit.data.preprocessor.Preprocessor` for audio; its arrays are mel-spectrograms, float32, in decibels.

    Attributes:
        allow_private: Allow URLs that lead to private networks.

    Raises:
        TlkitError: The packages that decode audio are not installed.
    """

    allow_private: bool = False

    def __post_init__(self) -> None:
        needs("audio", "soundfile", "soxr", by="audio")

    @property
    def modality(self) -> Modality:
        """Audio."""
        return AUDIO

    @property
    def size(self) -> tuple[int, int]:
        """Mel bands and frames, ``(96, 1366)``."""
        return SIZE

    @property
    def channels(self) -> int:
        """Channels of an array, 1."""
        return 1

    @property
    def dtype(self) -> str:
        """Type of an array, ``float32``."""
        return "float32"

    @property
    def sample_bytes(self) -> int:
        """Bytes of an array."""
        return 4 * math.prod(SIZE)

    @property
    def data_format(self) -> str:
        """Layout of the model input, ``channels_last``."""
        return "channels_last"

    @property
    def preprocessing(self) -> str:
        """Name of the normalization: :data:`PREPROCESSING`."""
        return PREPROCESSING

    @property
    def resize_mode(self) -> str:
        """Name of the way to the input size: the middle :data:`tlkit.data.audio.decode.SAMPLES` of a recording."""
        return RESIZE_MODE

    @property
    def decoder(self) -> str:
        """Decoder and library versions; libsndfile, which soundfile bundles, decodes."""
        import soundfile

        sndfile = soundfile.__libsndfile_version__
        return f"{DECODER}, libsndfile {sndfile}, soxr {version('soxr')}, {RATE} Hz"

    def load(self, source: str) -> np.ndarray:
        """Compute the mel-spectrogram of one recording.

        Args:
            source: A path, a URL (``https://…``, ``s3://bucket/a.jpg``), or ``-`` for standard input.

        Returns:
            ``(96, 1366)`` float32, decibels, low bands first.

        Raises:
            InputError: It cannot be read. The message is the reason alone, without the file's name.
        """
        return mel_spectrogram(
            decode(read_stream(source, AUDIO, allow_private=self.allow_private) if is_stream(source) else source)
        )

    def load_with_digest(self, source: str) -> tuple[np.ndarray, bytes]:
        """Compute the mel-spectrogram of one audio file or URL; also return the SHA-256 of the decoded bytes.

        Raises:
            InputError: As for :meth:`load`, or the file changed between hashing and decoding.
        """
        if is_stream(source):
            data = self._read(source)
            return mel_spectrogram(decode(data)), bytes_digest(data)
        try:
            check_regular(source, AUDIO)
            with open(source, "rb") as file:  # a recording may be hours long: it is never read into memory whole
                before = os.fstat(file.fileno())
                digest = hashlib.file_digest(file, "sha256").digest()
                file.seek(0)
                sound = decode(file.fileno())
                after = os.fstat(file.fileno())
        except OSError as error:
            raise InputError(why_unreadable(error)) from error
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            raise InputError("it changed while it was read")
        return mel_spectrogram(sound), digest

    def _read(self, source: str) -> bytes:
        return read_stream(source, AUDIO, allow_private=self.allow_private)

    def to_array(self, content: np.ndarray) -> np.ndarray:
        """Add the channel axis to a mel-spectrogram: ``(96, 1366, 1)`` float32."""
        return content[..., np.newaxis]

    def normalize(self, values: Any) -> Any:
        """Return decibels unchanged: the network's first BatchNorm normalizes them."""
        return values

    def to_model_input(self, arrays: np.ndarray) -> np.ndarray:
        """Return mel-spectrograms ``(batch, 96, 1366, 1)`` as float32, otherwise unchanged."""
        return np.asarray(arrays, np.float32)

    def thumbnail(self, content: np.ndarray, side: int) -> Image.Image:
        """Draw a mel-spectrogram, ``side`` pixels wide: time to the right, high bands on top, louder is brighter."""
        low, high = float(content.min()), float(content.max())
        loudness = (content[::-1] - low) / ((high - low) or 1.0)
        # from black through purple and red to light yellow
        stops = np.array([(0, 0, 10), (70, 20, 120), (190, 50, 90), (250, 150, 40), (255, 250, 190)], np.float32)
        channels = [np.interp(loudness, np.linspace(0, 1, len(stops)), stop) for stop in stops.T]
        image = Image.fromarray(np.stack(channels, axis=-1).astype(np.uint8))
        return image.resize((side, max(1, side * BANDS // 160)), Image.Resampling.BOX)

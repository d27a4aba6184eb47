"""How a network looks at a clip: everything that turns a file into numbers."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
from PIL import Image

from tlkit.data.audio.decode import DECODER, RATE, SAMPLES, check_installed, decode
from tlkit.data.audio.mel_spectrogram import BANDS, HOP, mel_spectrogram
from tlkit.data.discovery import is_url
from tlkit.data.file_checks import bytes_digest, check_regular, why_unreadable
from tlkit.data.modality import AUDIO, Modality
from tlkit.errors import InputError

SIZE = (BANDS, 1 + SAMPLES // HOP)
PREPROCESSING, RULE = "melspectrogram", "middle"


@dataclass(frozen=True)
class MelSpectrogramPreprocessor:
    """A :class:`tlkit.data.preprocessor.Preprocessor` at clips; its values are mel-spectrograms, float32, in decibels.

    Attributes:
        allow_private: Addresses may lead inside this network.
    """

    allow_private: bool = False

    def __post_init__(self) -> None:
        check_installed()

    @property
    def kind(self) -> Modality:
        """Clips."""
        return AUDIO

    @property
    def size(self) -> tuple[int, int]:
        """Mel bands and frames."""
        return SIZE

    @property
    def channels(self) -> int:
        """One."""
        return 1

    @property
    def dtype(self) -> str:
        """Of decibels."""
        return "float32"

    @property
    def channels_first(self) -> bool:
        """Never."""
        return False

    @property
    def data_format(self) -> str:
        """Always the same."""
        return "channels_last"

    @property
    def preprocessing(self) -> str:
        """One way alone."""
        return PREPROCESSING

    @property
    def rule(self) -> str:
        """The middle of a recording, :data:`tlkit.data.audio.decode.SAMPLES` long."""
        return RULE

    @property
    def decoder(self) -> str:
        """What decodes, with versions; libsndfile, which soundfile brings, does the work."""
        import soundfile

        sndfile = soundfile.__libsndfile_version__
        return f"{DECODER}, libsndfile {sndfile}, soxr {version('soxr')}, {RATE} Hz"

    def read(self, source: str) -> np.ndarray:
        """The mel-spectrogram of one file or address, ``(96, 1366, 1)`` float32.

        Raises:
            InputError: It cannot be read; the message is the reason alone.
        """
        return self.pixels(self.open(source)[0])

    def open(self, source: str, *, digest: bool = False) -> tuple[np.ndarray, bytes]:
        """The mel-spectrogram of one file or address, ``(96, 1366)`` float32, and the digest of its bytes."""
        sound, name = self._listen(source, digest)
        return mel_spectrogram(sound), name

    def _listen(self, source: str, digest: bool) -> tuple[np.ndarray, bytes]:
        if is_url(source):
            from tlkit.data.url import fetch  # requests takes a while to import

            data = fetch(source, allow_private=self.allow_private, wanted=AUDIO.with_article)
            return decode(data), bytes_digest(data) if digest else b""
        try:
            check_regular(source, AUDIO)
            with open(source, "rb") as file:
                if not digest:
                    return decode(file.fileno()), b""
                before = os.fstat(file.fileno())
                name = hashlib.file_digest(file, "sha256").digest()
                file.seek(0)
                sound = decode(file.fileno())
                after = os.fstat(file.fileno())
        except OSError as error:
            raise InputError(why_unreadable(error)) from error
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            raise InputError("it changed while it was read")
        return sound, name

    def pixels(self, content: np.ndarray) -> np.ndarray:
        """The mel-spectrogram with an axis for its one channel."""
        return content[..., np.newaxis]

    def scale(self, values: Any) -> Any:
        """Decibels as they are."""
        return values

    def inputs(self, values: np.ndarray) -> np.ndarray:
        """Decibels as they are, float32."""
        return np.asarray(values, np.float32)

    def show(self, content: np.ndarray, side: int) -> Image.Image:
        """The mel-spectrogram as a picture: time to the right, high bands on top, loud is bright."""
        low, high = float(content.min()), float(content.max())
        share = (content[::-1] - low) / ((high - low) or 1.0)
        # from black over blue and red to a light yellow
        stops = np.array([(0, 0, 10), (70, 20, 120), (190, 50, 90), (250, 150, 40), (255, 250, 190)], np.float32)
        channels = [np.interp(share, np.linspace(0, 1, len(stops)), stop) for stop in stops.T]
        picture = Image.fromarray(np.stack(channels, axis=-1).astype(np.uint8))
        return picture.resize((side, max(1, side * BANDS // 160)), Image.Resampling.BOX)

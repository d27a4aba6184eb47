"""The interface between files and networks: what image and audio preprocessing have in common."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from PIL import Image

from tlkit.data.modality import Modality


class Preprocessor(Protocol):
    """Turns a file into the input of a network.

    It works in three steps: :meth:`load` decodes a file, :meth:`to_array` resizes it to the input size, and
    :meth:`to_model_input` normalizes a batch of arrays. Arrays are small (uint8 for images), so they are what is
    augmented, queued and sent to the inference graph, which normalizes them itself.

    :class:`tlkit.data.images.preprocessor.ImagePreprocessor` and
    :class:`tlkit.data.audio.preprocessor.MelSpectrogramPreprocessor` implement it.
    """

    @property
    def modality(self) -> Modality:
        """What the network takes: images or audio."""
        ...

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of an array."""
        ...

    @property
    def channels(self) -> int:
        """Channels of an array."""
        ...

    @property
    def dtype(self) -> str:
        """Type of an array: ``uint8`` or ``float32``."""
        ...

    @property
    def sample_bytes(self) -> int:
        """Bytes of an array, at most."""
        ...

    @property
    def data_format(self) -> str:
        """Layout of the model input, ``channels_last`` or ``channels_first``. Arrays are always channels last."""
        ...

    @property
    def preprocessing(self) -> str:
        """Name of the normalization, such as ``caffe``."""
        ...

    @property
    def resize_mode(self) -> str:
        """Name of the way to the input size, such as ``squash``."""
        ...

    @property
    def decoder(self) -> str:
        """Decoder and library versions. Part of the provenance: other versions may decode to other values."""
        ...

    def load(self, source: str) -> Any:
        """Decode one file or URL.

        Raises:
            InputError: It cannot be read. The message is the reason alone, without the file's name.
        """
        ...

    def load_with_digest(self, source: str) -> tuple[Any, bytes]:
        """Decode one file or URL; also return the SHA-256 of the very bytes that were decoded.

        Raises:
            InputError: As for :meth:`load`.
        """
        ...

    def to_array(self, content: Any) -> np.ndarray:
        """Convert what :meth:`load` returned to an array of shape ``(height, width, channels)``."""
        ...

    def normalize(self, values: Any) -> Any:
        """Normalize float32 values, channels last: a NumPy array or, inside a graph, a tensor."""
        ...

    def to_model_input(self, arrays: np.ndarray) -> np.ndarray:
        """Normalize a batch of arrays, ``(batch, height, width, channels)``; return float32 in :attr:`data_format`."""
        ...

    def thumbnail(self, content: Any, side: int) -> Image.Image:
        """Draw what :meth:`load` returned as an RGB image whose sides are at most ``side`` pixels."""
        ...

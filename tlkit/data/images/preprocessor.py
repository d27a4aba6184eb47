"""Image preprocessing: decode, resize, normalize."""

from __future__ import annotations

import math
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
from PIL import Image

from tlkit.data.discovery import is_stream
from tlkit.data.file_checks import bytes_digest, read_file
from tlkit.data.images.decode import DECODER, MAX_PIXELS, decode
from tlkit.data.images.normalization import MODES, preprocess
from tlkit.data.images.resize import CROP_FRACTION, resize
from tlkit.data.modality import IMAGE, Modality
from tlkit.data.streams import read_stream


@dataclass(frozen=True)
class ImagePreprocessor:
    """A :class:`tlkit.data.preprocessor.Preprocessor` for images; its arrays are uint8, 0 to 255.

    Attributes:
        size: Height and width.
        preprocessing: A key of :data:`tlkit.data.images.normalization.MODES`.
        resize_mode: One of :data:`tlkit.data.images.resize.RESIZE_MODES`.
        allow_private: Allow URLs that lead to private networks.
        channels: 3 for RGB, 1 for greyscale.
        data_format: Layout of the model input, ``channels_last`` or ``channels_first``.
        reduces: Decode a large JPEG at a fraction of its size.
        resizes: If False, the network resizes: an array has the height and width of its image.
    """

    size: tuple[int, int]
    preprocessing: str
    resize_mode: str = "squash"
    allow_private: bool = False
    channels: int = 3
    data_format: str = "channels_last"
    reduces: bool = True
    resizes: bool = True

    @property
    def modality(self) -> Modality:
        """Images."""
        return IMAGE

    @property
    def dtype(self) -> str:
        """Type of an array, ``uint8``."""
        return "uint8"

    @property
    def sample_bytes(self) -> int:
        """Bytes of an array, at most."""
        return (math.prod(self.size) if self.resizes else MAX_PIXELS) * self.channels

    @property
    def decoder(self) -> str:
        """Decoder and library versions."""
        return f"{DECODER}, Pillow {version('pillow')}"

    def load(self, source: str) -> Image.Image:
        """Decode one image.

        Args:
            source: A path, a URL (``https://…``, ``s3://bucket/a.jpg``), or ``-`` for standard input.

        Returns:
            A Pillow image in mode RGB. A large JPEG is decoded at a fraction of its size, but never below
            :attr:`min_size`.

        Raises:
            InputError: It cannot be read. The message is the reason alone, without the file's name.
        """
        return decode(
            self._read(source) if is_stream(source) else source,
            min_size=self.min_size,
        )

    def load_bytes(self, data: bytes) -> Image.Image:
        """Decode the bytes of one image file, as :meth:`load`.

        Raises:
            InputError: As for :meth:`load`.
        """
        return decode(data, min_size=self.min_size)

    def load_with_digest(self, source: str) -> tuple[Image.Image, bytes]:
        """Decode one image file or URL; also return the SHA-256 of the very bytes that were decoded.

        Raises:
            InputError: As for :meth:`load`.
        """
        data = self._read(source) if is_stream(source) else read_file(source, IMAGE)
        return decode(data, min_size=self.min_size), bytes_digest(data)

    def _read(self, source: str) -> bytes:
        return read_stream(source, IMAGE, allow_private=self.allow_private)

    def to_array(self, content: Image.Image) -> np.ndarray:
        """Resize an image to :attr:`size`, unless the network does.

        Args:
            content: Mode RGB.

        Returns:
            ``(height, width, channels)`` uint8, 0 to 255: RGB, or ITU-R 601 luma where :attr:`channels` is 1.
        """
        image = content.convert("L") if self.channels == 1 else content
        array = resize(image, self.size, self.resize_mode) if self.resizes else np.asarray(image)
        return array[..., np.newaxis] if self.channels == 1 else array

    def normalize(self, values: Any) -> Any:
        """Normalize float32 pixels (0 to 255, channels last), a NumPy array or a tensor, as the network expects."""
        return MODES[self.preprocessing](values)

    def to_model_input(self, arrays: np.ndarray) -> np.ndarray:
        """Normalize a batch of images.

        Args:
            arrays: ``(batch, height, width, channels)`` uint8, 0 to 255. Not modified.

        Returns:
            float32 in the layout of :attr:`data_format`.
        """
        inputs = preprocess(arrays, self.preprocessing)
        return np.ascontiguousarray(np.moveaxis(inputs, -1, 1)) if self.data_format == "channels_first" else inputs

    def thumbnail(self, content: Image.Image, side: int) -> Image.Image:
        """Return a copy of an image, reduced so that its longer side is at most ``side`` pixels."""
        if max(content.size) <= side:
            return content.copy()
        width, height = (max(1, round(each * side / max(content.size))) for each in content.size)
        return content.resize((width, height), Image.Resampling.LANCZOS)

    @property
    def min_size(self) -> tuple[int, int] | None:
        """Width and height below which an image must not be reduced before it is resized; None: it must not be."""
        if not (self.reduces and self.resizes):
            return None
        height, width = self.size
        share = 1 if self.resize_mode == "squash" else CROP_FRACTION
        return math.ceil(width / share), math.ceil(height / share)

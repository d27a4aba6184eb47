"""How a network looks at a picture: everything that turns a file into numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
from PIL import Image

from tlkit.data.discovery import is_url
from tlkit.data.file_checks import bytes_digest, read_file
from tlkit.data.images.decode import DECODER, decode
from tlkit.data.images.normalization import MODES, preprocess
from tlkit.data.images.resize import CROP_FRACTION, resize
from tlkit.data.modality import IMAGE, Modality


@dataclass(frozen=True)
class ImagePreprocessor:
    """A :class:`tlkit.data.preprocessor.Preprocessor` at pictures; its values are pixels, uint8, 0 to 255.

    Attributes:
        size: Height and width.
        preprocessing: A mode of :mod:`tlkit.data.images.normalization`.
        rule: A rule of :mod:`tlkit.data.images.resize`.
        allow_private: Addresses may lead inside this network.
        channels: 3 for RGB, 1 for grey.
        channels_first: Inputs are ``(channels, height, width)``.
    """

    size: tuple[int, int]
    preprocessing: str
    rule: str = "squash"
    allow_private: bool = False
    channels: int = 3
    channels_first: bool = False

    @property
    def kind(self) -> Modality:
        """Pictures."""
        return IMAGE

    @property
    def dtype(self) -> str:
        """Of pixels."""
        return "uint8"

    @property
    def data_format(self) -> str:
        """The layout of inputs, as Keras calls it."""
        return "channels_first" if self.channels_first else "channels_last"

    @property
    def decoder(self) -> str:
        """What decodes, with versions."""
        return f"{DECODER}, Pillow {version('pillow')}"

    def read(self, source: str) -> np.ndarray:
        """Pixels of one file or address, ``(height, width, channels)`` uint8, RGB or grey.

        Raises:
            InputError: It cannot be read; the message is the reason alone.
        """
        return self.pixels(self.open(source)[0])

    def pixels(self, content: Image.Image) -> np.ndarray:
        """A picture at the network's size, ``(height, width, channels)`` uint8; grey is ITU-R 601 luma."""
        if self.channels == 1:
            return resize(content.convert("L"), self.size, self.rule)[..., np.newaxis]
        return resize(content, self.size, self.rule)

    def scale(self, values: Any) -> Any:
        """Float32 pixels, an array or a tensor, as the network takes them, channels last."""
        return MODES[self.preprocessing](values)

    def inputs(self, values: np.ndarray) -> np.ndarray:
        """What the network takes for pixels ``(rows, height, width, channels)``: float32."""
        inputs = preprocess(values, self.preprocessing)
        return np.ascontiguousarray(np.moveaxis(inputs, -1, 1)) if self.channels_first else inputs

    def open(self, source: str, *, digest: bool = False) -> tuple[Image.Image, bytes]:
        """The picture of one file or address, mode RGB, and the digest of its bytes where that is asked for.

        A large JPEG comes reduced, to a size from which this look is still taken as from the whole.
        """
        data: str | bytes = source
        if is_url(source):
            from tlkit.data.url import fetch  # requests takes a while to import

            data = fetch(source, allow_private=self.allow_private, wanted=IMAGE.with_article)
        elif digest:
            data = read_file(source, IMAGE)
        return decode(data, least=self.least), bytes_digest(data) if isinstance(data, bytes) and digest else b""

    def show(self, content: Image.Image, side: int) -> Image.Image:
        """The picture itself, reduced."""
        content.thumbnail((side, side), Image.Resampling.LANCZOS)
        return content

    @property
    def least(self) -> tuple[int, int]:
        """Width and height below which a picture must not be reduced before this look is taken."""
        height, width = self.size
        share = 1 if self.rule == "squash" else CROP_FRACTION
        return math.ceil(width / share), math.ceil(height / share)

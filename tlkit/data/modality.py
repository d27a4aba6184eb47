"""The modalities that networks take, as data: file name extensions and the words that messages use."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Modality:
    """Images or audio.

    Attributes:
        name: As in the architecture registry: ``image`` or ``audio``.
        singular: One input, in messages: ``image``.
        with_article: The same with its article: ``an image``.
        extensions: File name extensions that count when a folder is searched, in lower case.
        max_bytes: Larger files are refused.
    """

    name: str
    singular: str
    with_article: str
    extensions: frozenset[str]
    max_bytes: int

    @property
    def plural(self) -> str:
        """Several inputs, in messages: ``images``."""
        return f"{self.singular}s"

    def has_name(self, name: str) -> bool:
        """Return True if a file name ends with one of the extensions, in any case."""
        return os.path.splitext(name)[1].lower() in self.extensions


IMAGE = Modality(
    "image", "image", "an image",
    frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".bmp", ".dib", ".webp", ".tif", ".tiff",
               ".ppm", ".pgm", ".pbm", ".pnm", ".mpo"}),
    2**30,
)  # fmt: skip
AUDIO = Modality(
    "audio", "audio clip", "an audio clip",
    frozenset({".wav", ".flac", ".ogg", ".mp3"}),
    2**38,  # only the middle 30 seconds are decoded, so a recording may be hours long
)  # fmt: skip

MODALITIES = {modality.name: modality for modality in (IMAGE, AUDIO)}


def other_modalities(modality: Modality) -> list[Modality]:
    """Return all modalities but this one."""
    return [other for other in MODALITIES.values() if other is not modality]

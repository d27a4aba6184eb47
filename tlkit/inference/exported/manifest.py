"""What travels with an exported classifier: class names, how an image becomes its input, where it came from."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tlkit.data.images.preprocessor import ImagePreprocessor
from tlkit.data.images.resize import RESIZE_MODES
from tlkit.errors import ModelError

FORMAT = 1
"""Version of the manifest."""
KEY = "tlkit"
"""Name of the manifest among the metadata of a file."""
MANIFEST, LABELS = "tlkit.json", "labels.txt"
"""Names of the manifest, and of the class names alone, where they are files."""


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What travels with an exported classifier.

    Attributes:
        classes: Name of each class, in the order of the probabilities.
        labels: What tells each class where names are not enough, as ``n02504458``; the names if empty.
        size: Height and width of the input, in pixels.
        channels: 3 for RGB, 1 for greyscale.
        resize: How an image is brought to that size: ``squash`` or ``crop``.
        resize_inside: The file does that itself: it takes images of any height and width.
        thresholds: The probability of each class from which on it is given, where an image may have several; else
            empty.
        unknown_below: The largest probability below which an image is called unknown, 0 to 1; None where nothing
            measured one.
        precision: ``float32``, ``float16`` or ``int8``.
        provenance: What it was made from, and by.
        format: Version of these fields.
    """

    classes: Sequence[str]
    labels: Sequence[str] = ()
    size: tuple[int, int]
    channels: int = 3
    resize: str = "squash"
    resize_inside: bool = False
    thresholds: Sequence[float] = ()
    unknown_below: float | None = None
    precision: str = "float32"
    provenance: Mapping[str, Any] = field(default_factory=dict)
    format: int = FORMAT

    @property
    def preprocessor(self) -> ImagePreprocessor:
        """How a file becomes the input; the network normalizes it.

        Where the network resizes, it leaves an image of the input size as it is, so that tlkit's own resize will do;
        what crops would crop again.
        """
        crops = self.resize_inside and self.resize == "crop"
        return ImagePreprocessor(self.size, "none", self.resize, channels=self.channels, resizes=not crops)

    def describes_input_of(self, other: Manifest) -> bool:
        """Return whether this describes the input and the classes of another export too."""
        names = ("classes", "labels", "size", "channels", "resize", "resize_inside", "thresholds")
        one, two = json.loads(self.to_json()), json.loads(other.to_json())
        return all(one[name] == two[name] for name in names)

    @property
    def named_classes(self) -> list[tuple[str, str]]:
        """``(label, name)`` of each class."""
        return list(zip(self.labels or self.classes, self.classes, strict=True))

    def to_json(self) -> str:
        """Return the manifest as JSON, with the input described for programs of others."""
        values = dataclasses.asdict(self)
        values["input"] = {
            "name": "images", "dtype": "uint8", "layout": "NHWC", "color": "RGB" if self.channels == 3 else "L",
            "range": [0, 255], "filter": "bilinear, antialiased",
        }  # fmt: skip
        values["output"] = {"name": "probabilities", "dtype": "float32", "multi_label": bool(self.thresholds)}
        return json.dumps(values, indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str, source: str) -> Manifest:
        """Read a manifest.

        Args:
            text: As :meth:`to_json` wrote it.
            source: The file, for messages.

        Raises:
            ModelError: It is damaged, or of a newer tlkit.
        """
        try:
            values = json.loads(text)
            if values["format"] > FORMAT:
                raise ModelError(
                    f"{source} was exported by a newer tlkit (format {values['format']}; this one reads {FORMAT}).",
                    hint="Upgrade tlkit.",
                )
            names = {item.name for item in dataclasses.fields(cls)}
            known = {name: value for name, value in values.items() if name in names}
            manifest = cls(**{**known, "size": tuple(known["size"])})
            sound = (
                isinstance(manifest.classes, list)
                and isinstance(manifest.labels, list | tuple)
                and isinstance(manifest.thresholds, list | tuple)
                and all(isinstance(each, float | int) for each in manifest.thresholds)
                and isinstance(manifest.provenance, dict)
                and isinstance(manifest.provenance.get("weights", {}), dict)
                and manifest.resize in RESIZE_MODES
                and manifest.channels in (1, 3)
                and len(manifest.size) == 2
                and all(type(side) is int and side > 0 for side in manifest.size)
                and all(isinstance(name, str) for name in (*manifest.classes, *manifest.labels))
                and len(manifest.classes) > 1
                and len(manifest.labels) in (0, len(manifest.classes))
                and len(manifest.thresholds) in (0, len(manifest.classes))
                and isinstance(manifest.unknown_below, float | int | None)
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ModelError(f"The description of {source} by tlkit cannot be read: {error!r}.") from error
        if not sound:
            raise ModelError(f"The description of {source} by tlkit is damaged.", hint="Export it again.")
        return manifest

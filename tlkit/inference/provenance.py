"""What decides the numbers that a network outputs, as one value that can be compared, hashed and stored."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

FORMAT = 1
"""Version of the stored fields."""


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Everything that can change a number between the bytes of a file and the output of a network.

    A network by itself has no ``resize``, ``decoder``, ``engine`` or ``precision``; features have all of them. Fields
    at None are at their default.

    Attributes:
        architecture: Name in the registry.
        weights: ``digest`` of the weights file, and how it was loaded where that is not the default; ``drawn``: what
            decides random weights; its file ``name`` is informative and is not compared.
        layer: Name of the output layer; a list for several outputs.
        pooling: ``avg``, ``max`` or ``none``; a list for several outputs that differ.
        alpha: Width multiplier.
        depth_multiplier: Depthwise filters per channel.
        classes: Units of the classifier, where they are not the published number.
        data_format: ``channels_first``, or None for ``channels_last``.
        keras: Version of Keras, where layer names depend on it.
        size: Input height and width in pixels.
        resize: How a file is brought to that size.
        preprocessing: Normalization of the input values.
        decoder: What decoded the file, with versions.
        engine: What ran the network, with versions.
        precision: ``float32`` or ``bfloat16``.
        augment: How the image was augmented; None for the image as it is.
        format: Version of these fields.
    """

    architecture: str
    weights: Mapping[str, Any]
    layer: str | Sequence[str]
    pooling: str | Sequence[str] = "none"
    alpha: float | None = None
    depth_multiplier: int | None = None
    classes: int | None = None
    data_format: str | None = None
    keras: str | None = None
    size: Sequence[int] | None = None
    resize: str | None = None
    preprocessing: str | None = None
    decoder: str | None = None
    engine: str | None = None
    precision: str | None = None
    augment: Mapping[str, Any] | None = None
    format: int = FORMAT

    def to_dict(self) -> dict[str, Any]:
        """Return the fields that are not at their default, as JSON values."""
        # through JSON, so that what was stored and read back is equal to what was not
        values: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(self)))
        return {name: value for name, value in values.items() if value is not None}

    def key(self) -> str:
        """Return a name for the provenance, equal for equal numbers: 32 hexadecimal digits of a SHA-256."""
        text = json.dumps(self._compared(), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def diff(self, other: Provenance) -> list[str]:
        """List what differs, as ``layer block4_pool, not block5_pool``; the value of ``other`` comes second."""
        own, its = self._compared(), other._compared()
        return [
            f"{name} {_shown(own.get(name))}, not {_shown(its.get(name))}"
            for name in dict.fromkeys([*its, *own])
            if own.get(name) != its.get(name)
        ]

    def _compared(self) -> dict[str, Any]:
        values = self.to_dict()
        return {**values, "weights": {name: value for name, value in values["weights"].items() if name != "name"}}


def _shown(value: Any) -> str:
    if value is None:
        return "default"
    if isinstance(value, Mapping):
        return " ".join(str(item) if len(str(item)) < 30 else f"{str(item)[:20]}…" for item in value.values())
    return "x".join(map(str, value)) if isinstance(value, list) else str(value)

"""What `tlkit export` wrote, as an object, and in a few lines for people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tlkit.config import ExportFormat
from tlkit.exporting.proof import Proof
from tlkit.reporting.metrics import format_accuracy
from tlkit.utils.text import join_truncated, pluralize


@dataclass(frozen=True)
class ExportResult:
    """What was written, and its proof.

    Attributes:
        format: ``onnx``, ``openvino``, ``litert``, ``saved_model`` or ``keras``.
        precision: ``float32``, ``float16`` or ``int8``.
        path: The file, or the folder of a SavedModel.
        bytes: Its size, with what belongs to it.
        proof: How it compares with what it was made from.
        float32_ms_per_image: Milliseconds for an image of the same format in float32; None for float32 itself.
        in_float: Layers that int8 left in float.
        notes: What to know before using it.
    """

    format: ExportFormat
    precision: str
    path: str
    bytes: int
    proof: Proof
    float32_ms_per_image: float | None = None
    in_float: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return what ``tlkit export`` prints."""
        return {
            "format": self.format,
            "precision": self.precision,
            "path": self.path,
            "bytes": self.bytes,
            **self.proof.to_dict(),
            **({} if self.float32_ms_per_image is None else {"float32_ms_per_image": self.float32_ms_per_image}),
            **({"layers_in_float": list(self.in_float)} if self.precision == "int8" else {}),
            "notes": list(self.notes),
        }


def summary(result: ExportResult) -> str:
    """Return what people want to know of an export, in a few lines."""
    proof = result.proof
    faster = "" if result.float32_ms_per_image is None else f" ({result.float32_ms_per_image:.1f} in float32)"
    lines = [
        f"Wrote {result.path}: {result.format}, {result.precision}, {result.bytes / 1e6:.1f} MB, "
        f"{proof.ms_per_image:.1f} ms an image{faster}.",
        f"Proved on {pluralize(proof.images, 'image')} ({proof.on}): probabilities differ by "
        f"{proof.max_difference:.1g} at most, {proof.top1_agreement:.1%} name the same class.",
    ]
    if proof.accuracy is not None and proof.intervals is not None:
        before, after = map(format_accuracy, proof.accuracy, proof.intervals)
        lines.append(f"Accuracy {after}; {before} of what it was made from.")
    if proof.resize_difference is not None:
        lines.append(f"Images that it resizes itself differ by {proof.resize_difference:.1g} at most.")
    return "\n".join(lines)


def describe_float(layers: Sequence[str]) -> str:
    """Return how much of a network is int8."""
    return f"int8 with {pluralize(len(layers), 'layer')} in float ({join_truncated(layers)})" if layers else "int8"

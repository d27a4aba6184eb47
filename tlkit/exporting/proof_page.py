"""The page of a proof."""

from __future__ import annotations

from pathlib import Path

from tlkit.config import ExportConfig
from tlkit.exporting.proof import PATTERNS
from tlkit.exporting.result import ExportResult
from tlkit.inference.exported.manifest import Manifest
from tlkit.reporting.gallery import Gallery, GalleryPage, Shown, write_gallery
from tlkit.reporting.metrics import format_accuracy
from tlkit.training.reproduce import command_line, versions
from tlkit.utils.text import join_truncated


def write_proof_page(result: ExportResult, config: ExportConfig, manifest: Manifest, path: Path) -> None:
    """Write the page that shows how an export compares with what it was made from.

    Raises:
        TlkitError: It cannot be written.
    """
    proof = result.proof
    rows = [
        ("largest difference of a probability", f"{proof.max_difference:.2g}"),
        ("mean difference", f"{proof.mean_difference:.2g}"),
        ("the same class", f"{proof.top1_agreement:.1%}"),
    ]
    if proof.accuracy is not None and proof.intervals is not None:
        before, after = map(format_accuracy, proof.accuracy, proof.intervals)
        rows += [("accuracy of the file", after), ("accuracy of what it was made from", before)]
    rows.append(("milliseconds an image", f"{proof.ms_per_image:.2f}"))
    if result.float32_ms_per_image is not None:
        rows.append(("the same in float32", f"{result.float32_ms_per_image:.2f}"))
    if proof.resize_difference is not None:
        rows.append(("largest difference where the file resizes", f"{proof.resize_difference:.2g}"))
    if result.in_float:
        rows.append(("layers left in float", join_truncated(result.in_float)))
    worst = () if proof.on == PATTERNS else proof.worst
    galleries = [
        Gallery(
            "Most different images", "By how much a probability differs.",
            (tuple(Shown(file, Path(file).name, f"{apart:.2g}") for file, apart in worst),),
        )
    ] if worst else []  # fmt: skip
    page = GalleryPage(
        title=f"{Path(result.path).name}, exported from {Path(config.source).name}",
        preprocessor=manifest.preprocessor,
        highlights=[
            ("format", f"{result.format}, {result.precision}"),
            ("same class", f"{proof.top1_agreement:.1%}"),
            ("images", f"{proof.images:,}"),
            ("MB", f"{result.bytes / 1e6:.1f}"),
        ],
        warnings=result.notes,
        table=("proof", "value"),
        table_title=f"Proof on {proof.on}",
        rows=rows,
        galleries=galleries,
        arguments=config.effective(),
        versions=versions(),
        command=command_line("export", config),
    )
    write_gallery(page, path)

"""What a run, or what `tlkit export` made of one, tells of itself."""

from __future__ import annotations

from pathlib import Path

from tlkit.errors import RunError
from tlkit.inference.exported.files import exported_format, read_manifest
from tlkit.training.run_folder import RunRecord, read_run


def read_record(path: Path) -> RunRecord:
    """Read the record of a run, or the manifest of an exported file as one, whose probabilities are calibrated.

    Raises:
        RunError: It is neither.
        ModelError: An exported file cannot be read.
        TlkitError: The runtime of its format is not installed.
    """
    kind = exported_format(path) or ("keras" if path.suffix == ".keras" and path.is_file() else None)
    if kind is None:
        return read_run(path)
    manifest = read_manifest(path, kind)
    if manifest is None:
        raise RunError(
            f"{path} was not written by `tlkit export`: it does not tell its classes.",
            hint="Name a run of `tlkit finetune`, or what `tlkit export` made of one.",
        )
    provenance = manifest.provenance
    return RunRecord(
        architecture=str(provenance.get("architecture", "")),
        classes=list(manifest.classes),
        preprocessing="none",
        size=manifest.size,
        resize=manifest.resize,
        weights=provenance.get("weights", {}),
        head={},
        freeze={},
        arguments={},
        versions={},
        created=str(provenance.get("created", "")),
        data={},
        results={},
        thresholds=manifest.thresholds,
    )

"""Where an export goes: its files, what stands beside them, and what is never overwritten."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from tlkit.config import ExportConfig, ExportFormat
from tlkit.errors import ModelError, TlkitError, UsageError
from tlkit.exporting.proof_page import write_proof_page
from tlkit.exporting.result import ExportResult, describe_float
from tlkit.exporting.triton import FILES, config_text
from tlkit.inference.exported.files import labels_text
from tlkit.inference.exported.manifest import LABELS, MANIFEST, Manifest
from tlkit.utils.atomic_write import atomic_write
from tlkit.utils.output_file import is_run
from tlkit.utils.text import join_truncated, pluralize


def model_path(config: ExportConfig) -> Path:
    """Return the file or folder that holds the network."""
    output = Path(config.output)
    return output / "1" / FILES[config.kind] if config.layout == "triton" else output


def parts_of(path: Path, kind: ExportFormat) -> list[Path]:
    """Return all files or folders that an export is made of."""
    return [path, path.with_suffix(".bin")] if kind == "openvino" else [path]


def size_of(path: Path, kind: ExportFormat) -> int:
    """Return the bytes of all that an export is made of."""
    files = [file for part in parts_of(path, kind) for file in (part.rglob("*") if part.is_dir() else [part])]
    return sum(file.stat().st_size for file in files if file.is_file())


def check_place(config: ExportConfig) -> None:
    """Check that the export can be written, before any work is done.

    Raises:
        UsageError: There is no such folder, or something else is there.
    """
    path = Path(config.output)
    if not path.parent.is_dir():
        raise UsageError(f"There is no folder {path.parent}.", hint="Create it first.")
    if is_run(path.parent) or is_run(path):
        raise UsageError(f"{path} is in a run, which no other command changes.", hint="Name another place.")
    for part in [path] if config.layout else parts_of(path, config.kind):
        if not os.path.lexists(part):
            continue
        if part.is_dir() and not config.layout and not _is_own_folder(part):
            raise UsageError(f"{part} is a folder that `tlkit export` did not write.", hint="Name another.")
        if not config.force:
            raise UsageError(f"{part} exists.", hint="Name another file, or use --force to overwrite it.")


def _is_own_folder(path: Path) -> bool:
    """Return True for a SavedModel that an export wrote: no other folder is ever removed."""
    return not path.is_symlink() and (path / "saved_model.pb").is_file() and (path / "assets" / MANIFEST).is_file()


def check_neighbours(manifest: Manifest, config: ExportConfig) -> None:
    """Check that the class names beside the export are not those of another one.

    Raises:
        UsageError: The folder has an export with other classes.
    """
    beside = _beside(config) / MANIFEST
    if config.force or not beside.exists():
        return
    if _read_json(beside).get("classes") != list(manifest.classes):
        raise UsageError(
            f"{beside} is of an export with other classes.", hint="Write to another folder, or use --force."
        )


def _read_json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _beside(config: ExportConfig) -> Path:
    output = Path(config.output)
    return output if config.layout == "triton" else output.parent


def refuse_if_wrong(result: ExportResult, config: ExportConfig, written: Path) -> None:
    """Move a file that gives other answers out of the way.

    Raises:
        ModelError: It does.
    """
    proof = result.proof
    if config.precision == "float32":
        if proof.is_equal:
            return
        apart = max(proof.max_difference, proof.pattern_difference)
        reason = f"it differs by {apart:.2g} in a probability, and names other classes for "
        reason += pluralize(len(proof.changed), "image")
        worst = [file for file, _ in proof.worst] or ["coloured patterns"]
        hint = f"Most different: {join_truncated(worst)}. Try another --format."
    else:
        if proof.loss <= config.largest_loss:
            return
        reason = f"--precision {config.precision} costs {proof.loss:.1%} of accuracy, more than {config.max_loss}"
        if config.precision == "int8":
            reason += f" ({describe_float(result.in_float)})"
        hint = "Allow more with --max-loss, or use --precision float16 or float32."
    wanted = Path(config.output)
    parts = (
        [wanted.with_name(part.name) for part in parts_of(written, config.kind)]
        if config.layout
        else (parts_of(wanted, config.kind))
    )
    rejected = [part.with_name(f"{part.name}.rejected") for part in parts]
    for part, target in zip(parts_of(written, config.kind), rejected, strict=True):
        _replace(part, target)
    raise ModelError(f"{config.output} is not given out: {reason}.", hint=f"It is kept as {rejected[0]}. {hint}")


def _replace(part: Path, target: Path) -> None:
    if _is_own_folder(target):
        shutil.rmtree(target)
    part.replace(target)


def keep(result: ExportResult, manifest: Manifest, written: Path, config: ExportConfig) -> None:
    """Move what was written into place, with the proof and the class names beside it.

    Raises:
        TlkitError: It cannot be moved there.
    """
    path, model = Path(result.path), Path(config.output)
    try:
        if config.layout == "triton":
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(model / "config.pbtxt") as part:
                part.write_text(config_text(model.name, result.format, manifest), "utf-8")
        for part, target in zip(parts_of(written, result.format), parts_of(path, result.format), strict=True):
            _replace(part, target)
        beside = _beside(config)
        for name, text in (
            (beside / f"{path.name}.proof.json", json.dumps(result.to_dict(), indent=2) + "\n"),
            (beside / MANIFEST, manifest.to_json()),
            (beside / LABELS, labels_text(manifest)),
        ):
            with atomic_write(name) as part:
                part.write_text(text, "utf-8")
        write_proof_page(result, config, manifest, beside / f"{path.name}.proof.html")
    except OSError as error:
        raise TlkitError(f"Cannot write {path}: {error.strerror or error}.") from error

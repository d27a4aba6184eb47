"""Where an export goes: its files, what stands beside them, and what is never overwritten."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from tlkit.config import ExportConfig, ExportFormat
from tlkit.errors import ModelError, TlkitError, UsageError
from tlkit.exporting.proof_page import write_proof_page
from tlkit.exporting.result import ExportResult, describe_float
from tlkit.exporting.triton import FILES, config_text
from tlkit.inference.exported.files import labels_text
from tlkit.inference.exported.manifest import LABELS, MANIFEST, Manifest
from tlkit.utils.atomic_write import atomic_write
from tlkit.utils.output_file import is_run
from tlkit.utils.text import join_truncated


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
        if part.exists() and os.path.exists(config.source) and part.samefile(config.source):
            raise UsageError(f"{part} is what is to be exported.", hint="Name another file.")
        if config.layout and not part.is_dir():
            raise UsageError(f"{part} is a file; --layout {config.layout} writes a folder.", hint="Name another.")
        if part.is_dir() and not config.layout and not _is_own_folder(part):
            raise UsageError(f"{part} is a folder that `tlkit export` did not write.", hint="Name another.")
        if not config.force:
            raise UsageError(f"{part} exists.", hint="Name another file, or use --force to overwrite it.")


def _is_own_folder(path: Path) -> bool:
    """Return True for a SavedModel that an export wrote: no other folder is ever removed."""
    return not path.is_symlink() and (path / "saved_model.pb").is_file() and (path / "assets" / MANIFEST).is_file()


def check_neighbours(manifest: Manifest, config: ExportConfig) -> None:
    """Check that what stands beside the export is of this export, or of one with the same classes and input.

    Raises:
        UsageError: It is something else.
    """
    beside, name = _beside(config), model_path(config).name
    described, labels = beside / MANIFEST, beside / LABELS
    for file in (described, labels, beside / f"{name}.proof.json", beside / f"{name}.proof.html"):
        if file.is_dir():
            raise UsageError(f"{file} is a folder, and the export has a file of that name.", hint="Name another place.")
    if config.labels is not None and labels.exists() and labels.samefile(config.labels):
        raise UsageError(f"The export would replace {labels}, which --labels names.", hint="Name another place.")
    hint = "Write to another folder, or use --force."
    if config.force:
        return
    if described.exists() and not _describes_input_of(described, manifest):
        raise UsageError(f"{described} is of an export with other classes or another input.", hint=hint)
    if labels.exists() and labels.read_bytes() != labels_text(manifest).encode():
        raise UsageError(f"{labels} has other class names.", hint=hint)


def _describes_input_of(path: Path, manifest: Manifest) -> bool:
    try:
        return manifest.describes_input_of(Manifest.from_json(path.read_text("utf-8"), str(path)))
    except (OSError, ValueError, ModelError):
        return False


def _beside(config: ExportConfig) -> Path:
    output = Path(config.output)
    return output if config.layout == "triton" else output.parent


def refuse_if_wrong(result: ExportResult, config: ExportConfig, written: Path) -> None:
    """Move a file that gives other answers out of the way.

    Raises:
        ModelError: It does.
    """
    proof = result.proof
    if config.precision == "float32" or not proof.is_finite:
        if proof.is_equal:
            return
        reason = proof.fault()
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
    wanted = wanted.with_name(wanted.name + written.suffix) if config.layout else wanted
    rejected = [part.with_name(f"{part.name}.rejected") for part in parts_of(wanted, config.kind)]
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
    path, beside = Path(result.path), _beside(config)
    texts = {
        f"{path.name}.proof.json": json.dumps(result.to_dict(), indent=2) + "\n",
        MANIFEST: manifest.to_json(),
        LABELS: labels_text(manifest),
    }
    if config.layout == "triton":
        texts["config.pbtxt"] = config_text(beside.resolve().name, result.format, manifest)
    page = written.with_name("page.html")
    write_proof_page(result, config, manifest, page)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            with atomic_write(beside / name) as part:
                part.write_text(text, "utf-8")
        page.replace(beside / f"{path.name}.proof.html")
        # last, and of OpenVINO its weights first: where a network is, all that belongs to it is
        for part, target in reversed(
            list(zip(parts_of(written, result.format), parts_of(path, result.format), strict=True))
        ):
            _replace(part, target)
    except OSError as error:
        raise TlkitError(
            f"Cannot write {error.filename2 or error.filename or path}: {error.strerror or error}."
        ) from error

"""The formats of exported classifiers: how a file is known, and how its manifest is written and read."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path
from typing import get_args

from tlkit.config import ExportFormat
from tlkit.errors import ModelError, TlkitError
from tlkit.inference.exported.manifest import KEY, LABELS, MANIFEST, Manifest
from tlkit.utils.extras import needs
from tlkit.utils.text import escape_control_chars, shorten

_LONGEST_REASON = 200
_LONGEST_MANIFEST = 50_000_000

SUFFIXES: dict[ExportFormat, str] = {
    "onnx": ".onnx", "openvino": ".xml", "litert": ".tflite", "saved_model": "", "keras": ".keras"
}  # fmt: skip
"""How the name of a file ends; a SavedModel is a folder."""


def exported_format(path: Path) -> ExportFormat | None:
    """Return the format of an exported file by its name and place, where only its own runtime reads it; else None."""
    if path.is_dir():
        return "saved_model" if (path / "saved_model.pb").is_file() else None
    found = [name for name in get_args(ExportFormat) if SUFFIXES[name] == path.suffix.lower()]
    return found[0] if path.is_file() and found and found[0] not in ("keras", "saved_model") else None


def read_manifest(path: Path, kind: ExportFormat) -> Manifest | None:
    """Read the manifest in the metadata of an exported file; None where it has none.

    Raises:
        ModelError: The file cannot be read, or its manifest is damaged.
        TlkitError: The runtime of the format is not installed.
    """
    try:
        text = _READERS[kind](path)
    except TlkitError:
        raise
    except Exception as error:  # each runtime has exceptions of its own
        raise ModelError(f"{path} cannot be read as {kind}: {reason_of(error)}.") from error
    return None if text is None else Manifest.from_json(text, str(path))


def reason_of(error: Exception) -> str:
    """Return what an error of a runtime says, in a line: those of OpenVINO begin with where its code raised it."""
    text = f"there is no {error}" if isinstance(error, KeyError) else str(error)
    lines = [line.strip() for line in text.splitlines()]
    told = [line for line in lines if line and not re.match(r"Exception from |Check '", line)]
    return shorten(escape_control_chars((told or [type(error).__name__])[0]), _LONGEST_REASON).rstrip(".")


def _read_onnx(path: Path) -> str | None:
    needs("onnx", "onnxruntime")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    text: str | None = session.get_modelmeta().custom_metadata_map.get(KEY)
    return text


def _read_openvino(path: Path) -> str | None:
    from tlkit.inference.openvino_runtime import core

    weights = path.with_suffix(".bin")
    if not weights.is_file():
        raise ModelError(f"{weights} is missing beside {path.name}, which it belongs to.")
    model = core.read_model(path)
    return str(model.get_rt_info([KEY]).value) if model.has_rt_info([KEY]) else None


def _read_zip(path: Path) -> str | None:
    """Read what is packed behind a LiteRT model, or in a Keras archive."""
    if not zipfile.is_zipfile(path):
        return None
    with zipfile.ZipFile(path) as archive:
        if MANIFEST not in archive.namelist():
            return None
        if archive.getinfo(MANIFEST).file_size > _LONGEST_MANIFEST:
            raise ModelError(f"{MANIFEST} in {path} has more than {_LONGEST_MANIFEST:,} bytes.")
        return archive.read(MANIFEST).decode("utf-8")


def _read_saved_model(path: Path) -> str | None:
    manifest = path / "assets" / MANIFEST
    return manifest.read_text("utf-8") if manifest.is_file() else None


_READERS = {
    "onnx": _read_onnx, "openvino": _read_openvino, "litert": _read_zip, "saved_model": _read_saved_model,
    "keras": _read_zip,
}  # fmt: skip


def pack(path: Path, manifest: Manifest) -> None:
    """Add the manifest and class names to a LiteRT model or a Keras archive, whose readers pass over them.

    Tools of Android look for the class names of a LiteRT model there.
    """
    with zipfile.ZipFile(path, "a", zipfile.ZIP_STORED) as archive:
        archive.writestr(MANIFEST, manifest.to_json())
        archive.writestr(LABELS, labels_text(manifest))


def labels_text(manifest: Manifest) -> str:
    """Return the class names, one a line; a name with any kind of line break is written as in JSON."""
    return "".join(f"{name if name.splitlines() == [name] else json.dumps(name)[1:-1]}\n" for name in manifest.classes)

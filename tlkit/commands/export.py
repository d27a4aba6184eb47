"""Write a classifier in a format that other programs run, and prove that it gives the same."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

import tlkit
from tlkit.config import ExportConfig, ExportFormat, PredictConfig
from tlkit.data.layout import TRAIN, VALIDATION
from tlkit.data.modality import IMAGE
from tlkit.errors import DataError, ModelError, TlkitError, UsageError
from tlkit.exporting.compiled import describe_onnx, onnx_as_openvino, write_onnx, write_openvino
from tlkit.exporting.images import MOST, LoadedImages, images_in, images_of_run, made_images
from tlkit.exporting.proof import PATTERNS, Proof, expect, prove, resize_difference, time_each
from tlkit.exporting.triton import FILES, config_text
from tlkit.inference.exported.engines import Run, open_runtime
from tlkit.inference.exported.files import labels_text
from tlkit.inference.exported.manifest import LABELS, MANIFEST, Manifest
from tlkit.inference.select import open_engine
from tlkit.reporting.metrics import format_accuracy
from tlkit.training.classifier import Classifier, choose_classifier
from tlkit.training.reproduce import command_line, versions
from tlkit.training.run_folder import MODEL, RECORD, RunRecord, read_run
from tlkit.utils.atomic_write import atomic_write, part_prefix
from tlkit.utils.extras import needs
from tlkit.utils.hashing import file_digest
from tlkit.utils.logging import logger
from tlkit.utils.output_file import is_run
from tlkit.utils.text import join_truncated, pluralize

_PACKAGES: dict[ExportFormat, tuple[str, ...]] = {"onnx": ("onnx", "onnxruntime"), "litert": ("ai_edge_litert",)}
MOST_CALIBRATED = 200
"""Images that tell the range of each tensor."""
_GAIN_GONE = 0.9
"""Of the time of float32, from which on more layers in float bring nothing."""
_FEWEST_FOR_UNKNOWN, _KNOWN_TURNED_AWAY, _MOST_FOR_UNKNOWN = 20, 0.05, 0.8
"""Images below which no threshold for unknown images is chosen; the share of them that it calls so; its largest."""


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


def export(config: ExportConfig) -> ExportResult:
    """Write a classifier, run what was written on images, and keep it only where it gives the same.

    Raises:
        TlkitError: The source cannot be read, a layer does not exist in the format, a package is missing, or the file
            gives other answers: it stays beside, named ``.rejected``.
    """
    output = Path(config.output)
    path = output / "1" / FILES[config.kind] if config.layout == "triton" else output
    if config.precision == "int8" and config.kind == "openvino":
        needs("onnx", *_PACKAGES["onnx"], by="`tlkit export`")
    needs("litert" if config.kind == "litert" else "onnx", *_PACKAGES.get(config.kind, ()), by="`tlkit export`")
    _check_output(output, config)
    classifier = choose_classifier(
        PredictConfig(
            images=(), model=config.source, size=config.size, resize=config.resize, preprocess=config.preprocess,
            labels=config.labels,
        )
    )  # fmt: skip
    preprocessor = classifier.network.preprocessor
    if preprocessor.modality is not IMAGE:
        raise UsageError(f"{config.source} takes {preprocessor.modality.name}; tlkit exports classifiers of images.")
    run = _run_of(config.source)
    images = _images(config, run, classifier)
    expected = expect(classifier, open_engine(classifier.network), images)
    manifest = _manifest(config, classifier, run, images, expected.probabilities)
    if config.layout is None:
        _check_neighbours(path, manifest, config)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=part_prefix()) as folder:
        written = Path(folder, path.name)
        calibration = _calibration(config, run, classifier) if config.precision == "int8" else None
        plain: Run | None = None
        if config.precision != "float32":
            larger = Path(folder, f"float32{path.suffix}")
            _write(config.kind, classifier, dataclasses.replace(manifest, precision="float32"), larger)
            plain = open_runtime(larger, config.kind)
            plain(images.pixels[:1])
        for in_float in _attempts(config, classifier, manifest, calibration, written):
            exported = open_runtime(written, config.kind)
            proof = prove(classifier, expected, exported, images)
            if config.resize_inside and not images.are_made:
                proof = dataclasses.replace(proof, resize_difference=resize_difference(exported, images))
            float32_ms = None
            if plain is not None:
                float32_ms, milliseconds = time_each([plain, exported], images.pixels)
                proof = dataclasses.replace(proof, ms_per_image=milliseconds)
            result = ExportResult(
                config.kind, config.precision, str(path), _size(written, config.kind), proof, float32_ms, in_float,
                ("There were no images to prove it on but patterns: --check DATA proves it on yours.",)
                if images.are_made else (),
            )  # fmt: skip
            gone = float32_ms is not None and proof.ms_per_image > _GAIN_GONE * float32_ms
            if proof.loss <= config.largest_loss or gone:
                break
            logger.info("%s: costs %s of accuracy.", _left(in_float), f"{proof.loss:.1%}")
        _refuse_if_wrong(result, config, written)
        _keep(result, manifest, written, config)
    return result


def _run_of(source: str) -> tuple[Path, RunRecord] | None:
    """Return the run that is the source, and its record; None for a model file."""
    path = Path(source)
    if path.name == MODEL and (path.parent / RECORD).is_file():
        path = path.parent
    return (path, read_run(path)) if path.is_dir() else None


def _images(config: ExportConfig, run: tuple[Path, RunRecord] | None, classifier: Classifier) -> LoadedImages:
    """Return the images to prove the export on."""
    preprocessor = classifier.network.preprocessor
    if config.check is not None:
        names = [name for _, name in classifier.classes]
        return images_in(config.check, names, preprocessor, MOST, multi_label=classifier.thresholds is not None)
    if run is not None:
        try:
            return images_of_run(*run, VALIDATION, preprocessor, MOST)
        except DataError as reason:
            logger.warning("%s", reason.message)
    return made_images(preprocessor.size, preprocessor.channels)


def _manifest(
    config: ExportConfig,
    classifier: Classifier,
    run: tuple[Path, RunRecord] | None,
    images: LoadedImages,
    expected: np.ndarray,
) -> Manifest:
    labels, names = zip(*classifier.classes, strict=True)
    unknown = None
    if not images.are_made and classifier.thresholds is None and len(expected) >= _FEWEST_FOR_UNKNOWN:
        unknown = min(float(np.quantile(expected.max(axis=1), _KNOWN_TURNED_AWAY)), _MOST_FOR_UNKNOWN)
    preprocessor = classifier.network.preprocessor
    provenance: dict[str, Any] = {
        "tlkit": tlkit.__version__, "exported": datetime.now(UTC).isoformat(timespec="seconds"),
        "source": Path(config.source).name,
    }  # fmt: skip
    if run is None:
        provenance["digest"] = file_digest(Path(config.source))
    else:
        record = run[1]
        provenance |= {
            "digest": record.model_digest, "architecture": record.architecture, "weights": dict(record.weights),
            "created": record.created, "images": {split: sum(each.values()) for split, each in record.data.items()},
            "temperature": record.temperature, "val_accuracy": record.results.get("val_accuracy"),
        }  # fmt: skip
    return Manifest(
        classes=names,
        labels=() if labels == names else labels,
        size=preprocessor.size,
        channels=preprocessor.channels,
        resize=preprocessor.resize_mode,
        resize_inside=config.resize_inside,
        thresholds=() if classifier.thresholds is None else tuple(classifier.thresholds.tolist()),
        unknown_below=unknown,
        precision=config.precision,
        provenance=provenance,
    )


def _calibration(config: ExportConfig, run: tuple[Path, RunRecord] | None, classifier: Classifier) -> LoadedImages:
    """Return the images that tell the range of each tensor."""
    preprocessor = classifier.network.preprocessor
    if config.calibrate is not None:
        names = [name for _, name in classifier.classes]
        several = classifier.thresholds is not None
        return images_in(config.calibrate, names, preprocessor, MOST_CALIBRATED, multi_label=several)
    try:
        if run is None:
            raise DataError(f"{config.source} is no run, so its training images are not known.")
        return images_of_run(*run, TRAIN, preprocessor, MOST_CALIBRATED)
    except DataError as reason:
        raise DataError(
            f"--precision int8 needs images to calibrate on. {reason.message}", hint="Name some with --calibrate DATA."
        ) from reason


def _attempts(
    config: ExportConfig, classifier: Classifier, manifest: Manifest, calibration: LoadedImages | None, path: Path
) -> Iterator[tuple[str, ...]]:
    """Write the file; for int8 of ONNX and OpenVINO again and again, with more layers in float, and yield those."""
    if calibration is None:
        _write(config.kind, classifier, manifest, path)
        yield ()
        return
    pixels = calibration.pixels
    if config.kind == "litert":
        from tlkit.exporting.through_keras import write_litert

        write_litert(classifier, manifest, path, lambda: (pixels[row : row + 1] for row in range(len(pixels))))
        yield ()
        return
    import onnx

    from tlkit.exporting.quantization import layers_in_float, quantize

    plain, small = path.with_name("plain.onnx"), path.with_name("small.onnx")
    write_onnx(classifier, dataclasses.replace(manifest, precision="float32"), plain)
    for in_float in layers_in_float(plain, pixels):
        quantize(plain, small, pixels, in_float)
        if config.kind == "openvino":
            onnx_as_openvino(small, manifest, path)
        else:
            model = onnx.load(small)
            describe_onnx(model, manifest)
            onnx.save(model, path)
        yield tuple(in_float)


def _left(layers: Sequence[str]) -> str:
    return f"int8 with {pluralize(len(layers), 'layer')} in float ({join_truncated(layers)})" if layers else "int8"


def _write(kind: ExportFormat, classifier: Classifier, manifest: Manifest, path: Path) -> None:
    if kind in ("onnx", "openvino"):
        write: Callable[[Classifier, Manifest, Path], None] = write_onnx if kind == "onnx" else write_openvino
        write(classifier, manifest, path)
        return
    from tlkit.exporting.through_keras import write_keras, write_litert, write_saved_model

    writers = {"keras": write_keras, "litert": write_litert, "saved_model": write_saved_model}
    writers[kind](classifier, manifest, path)


def _parts(path: Path, kind: ExportFormat) -> list[Path]:
    """Return all files or folders that an export is made of."""
    return [path, path.with_suffix(".bin")] if kind == "openvino" else [path]


def _size(path: Path, kind: ExportFormat) -> int:
    files = [file for part in _parts(path, kind) for file in (part.rglob("*") if part.is_dir() else [part])]
    return sum(file.stat().st_size for file in files if file.is_file())


def _check_output(path: Path, config: ExportConfig) -> None:
    """Refuse a path that cannot be written to, before any work is done."""
    if not path.parent.is_dir():
        raise UsageError(f"There is no folder {path.parent}.", hint="Create it first.")
    if is_run(path.parent) or is_run(path):
        raise UsageError(f"{path} is in a run, which no other command changes.", hint="Name another place.")
    for part in [path] if config.layout else _parts(path, config.kind):
        if os.path.lexists(part) and not config.force:
            raise UsageError(f"{part} exists.", hint="Name another file, or use --force to overwrite it.")


def _check_neighbours(path: Path, manifest: Manifest, config: ExportConfig) -> None:
    """Refuse to replace the class names beside another export in the same folder, which has other classes."""
    beside = path.with_name(MANIFEST)
    if config.force or not beside.exists():
        return
    if read_json(beside).get("classes") != list(manifest.classes):
        raise UsageError(
            f"{beside} is of an export with other classes.", hint="Write to another folder, or use --force."
        )


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object; an empty one where there is none."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _refuse_if_wrong(result: ExportResult, config: ExportConfig, written: Path) -> None:
    """Move a file that gives other answers out of the way."""
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
            reason += f" ({_left(result.in_float)})"
        hint = "Allow more with --max-loss, or use --precision float16 or float32."
    wanted = Path(config.output)
    parts = (
        [wanted.with_name(part.name) for part in _parts(written, config.kind)]
        if config.layout
        else (_parts(wanted, config.kind))
    )
    rejected = [part.with_name(f"{part.name}.rejected") for part in parts]
    for part, target in zip(_parts(written, config.kind), rejected, strict=True):
        _replace(part, target)
    raise ModelError(f"{config.output} is not given out: {reason}. It is kept as {rejected[0]}.", hint=hint)


def _replace(part: Path, target: Path) -> None:
    if target.is_dir() and not target.is_symlink():
        shutil.rmtree(target)
    part.replace(target)


def _keep(result: ExportResult, manifest: Manifest, written: Path, config: ExportConfig) -> None:
    """Move what was written into place, with the proof and the class names beside it."""
    path, model = Path(result.path), Path(config.output)
    try:
        if config.layout == "triton":
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(model / "config.pbtxt") as part:
                part.write_text(config_text(model.name, result.format, manifest), "utf-8")
        for part, target in zip(_parts(written, result.format), _parts(path, result.format), strict=True):
            _replace(part, target)
        beside = model if config.layout == "triton" else path.parent
        for name, text in (
            (beside / f"{path.name}.proof.json", json.dumps(result.to_dict(), indent=2) + "\n"),
            (beside / MANIFEST, manifest.to_json()),
            (beside / LABELS, labels_text(manifest)),
        ):
            with atomic_write(name) as part:
                part.write_text(text, "utf-8")
        _write_page(result, config, manifest, beside / f"{path.name}.proof.html")
    except OSError as error:
        raise TlkitError(f"Cannot write {path}: {error.strerror or error}.") from error


def _write_page(result: ExportResult, config: ExportConfig, manifest: Manifest, path: Path) -> None:
    from tlkit.reporting.gallery import Gallery, GalleryPage, Shown, write_gallery

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
    worst = () if result.proof.on == PATTERNS else proof.worst
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

"""Write a classifier in a format that other programs run, and prove that it gives the same."""

from __future__ import annotations

import dataclasses
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

import tlkit
from tlkit.config import ExportConfig, ExportFormat, PredictConfig
from tlkit.data.layout import TRAIN, VALIDATION
from tlkit.data.modality import IMAGE
from tlkit.errors import DataError, UsageError
from tlkit.exporting.images import MOST, LoadedImages, images_in, images_of_run, made_images
from tlkit.exporting.place import check_neighbours, check_place, keep, model_path, refuse_if_wrong, size_of
from tlkit.exporting.proof import expect, prove, resize_difference, time_each
from tlkit.exporting.result import ExportResult, describe_float
from tlkit.exporting.write import write_attempts, write_float
from tlkit.inference.exported.engines import Run, open_runtime
from tlkit.inference.exported.manifest import Manifest
from tlkit.inference.select import open_engine
from tlkit.training.classifier import Classifier, choose_classifier
from tlkit.training.run_folder import MODEL, RECORD, RunRecord, read_run
from tlkit.utils.atomic_write import part_prefix
from tlkit.utils.extras import needs
from tlkit.utils.hashing import file_digest
from tlkit.utils.logging import logger

PACKAGES: dict[ExportFormat, tuple[str, ...]] = {"onnx": ("onnx", "onnxruntime"), "litert": ("ai_edge_litert",)}
"""What a format is written and run with, of the extra of its name."""
MOST_CALIBRATED = 200
"""Images that tell the range of each tensor."""
_GAIN_GONE = 0.9
"""Of the time of float32, from which on more layers in float bring nothing."""
_FEWEST_FOR_UNKNOWN, _KNOWN_TURNED_AWAY, _MOST_FOR_UNKNOWN = 20, 0.05, 0.8
"""Images below which no threshold for unknown images is chosen; the share of them that it calls so; its largest."""


def export(config: ExportConfig) -> ExportResult:
    """Write a classifier, run what was written on images, and keep it only where it gives the same.

    Raises:
        TlkitError: The source cannot be read, a layer does not exist in the format, a package is missing, or the file
            gives other answers: it stays beside, named ``.rejected``.
    """
    path = model_path(config)
    int8 = config.precision == "int8"
    extra = "litert" if config.kind == "litert" else "onnx"
    packages = PACKAGES["onnx"] if int8 and config.kind == "openvino" else PACKAGES.get(config.kind, ())
    needs(extra, *packages, *(("ai_edge_quantizer",) if int8 and extra == "litert" else ()), by="`tlkit export`")
    check_place(config)
    classifier = choose_classifier(
        PredictConfig(
            images=(), model=config.source, size=config.size, resize=config.resize, preprocess=config.preprocess,
            labels=config.labels,
        )
    )  # fmt: skip
    preprocessor = classifier.network.preprocessor
    if classifier.network.runtime is not None:
        raise UsageError(f"{config.source} is what `tlkit export` wrote.", hint="Export the run that it was made from.")
    if preprocessor.modality is not IMAGE:
        raise UsageError(f"{config.source} takes {preprocessor.modality.name}; tlkit exports classifiers of images.")
    run = _run_of(config.source)
    images = _images(config, run, classifier)
    expected = expect(classifier, open_engine(classifier.network), images)
    manifest = _manifest(config, classifier, run, images, expected.probabilities)
    check_neighbours(manifest, config)
    with tempfile.TemporaryDirectory(dir=Path(config.output).parent, prefix=part_prefix()) as folder:
        written = Path(folder, path.name)
        calibration = _calibration(config, run, classifier).pixels if config.precision == "int8" else None
        plain: Run | None = None
        if config.precision != "float32":
            larger = Path(folder, f"float32{path.suffix}")
            write_float(config.kind, classifier, dataclasses.replace(manifest, precision="float32"), larger)
            plain = open_runtime(larger, config.kind)
            plain(images.pixels[:1])
        for in_float in write_attempts(config.kind, classifier, manifest, calibration, written):
            exported = open_runtime(written, config.kind)
            proof = prove(classifier, expected, exported, images)
            if config.resize_inside and not images.are_made:
                proof = dataclasses.replace(proof, resize_difference=resize_difference(exported, images))
            float32_ms = None
            if plain is not None:
                float32_ms, milliseconds = time_each([plain, exported], images.pixels)
                proof = dataclasses.replace(proof, ms_per_image=milliseconds)
            result = ExportResult(
                config.kind, config.precision, str(path), size_of(written, config.kind), proof, float32_ms, in_float,
                ("There were no images to prove it on but patterns: --check DATA proves it on yours.",)
                if images.are_made else (),
            )  # fmt: skip
            gone = float32_ms is not None and proof.ms_per_image > _GAIN_GONE * float32_ms
            if proof.loss <= config.largest_loss or gone:
                break
            logger.info("%s: costs %s of accuracy.", describe_float(in_float), f"{proof.loss:.1%}")
        refuse_if_wrong(result, config, written)
        keep(result, manifest, written, config)
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

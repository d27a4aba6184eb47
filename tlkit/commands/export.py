"""Write a classifier in a format that other programs run, and prove that it gives the same."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

import tlkit
from tlkit.config import BY_TENSORFLOW, ExportConfig, ExportFormat, PredictConfig
from tlkit.data.images.preprocessor import ImagePreprocessor
from tlkit.data.layout import TRAIN, VALIDATION
from tlkit.data.modality import IMAGE
from tlkit.errors import DataError, ModelError, TlkitError, UsageError
from tlkit.exporting.images import MOST, LoadedImages, images_in, images_of_run, made_images
from tlkit.exporting.place import check_neighbours, check_place, keep, model_path, refuse_if_wrong, size_of
from tlkit.exporting.proof import Expected, prove, resize_difference, time_each
from tlkit.exporting.result import ExportResult, describe_float
from tlkit.exporting.write import write_attempts, write_float
from tlkit.inference.exported.engines import Run, open_runtime
from tlkit.inference.exported.manifest import Manifest
from tlkit.inference.select import open_engine
from tlkit.training.classifier import Classifier, choose_classifier
from tlkit.training.run_folder import MODEL, RECORD, RunRecord, read_run
from tlkit.utils.atomic_write import part_folder
from tlkit.utils.compute import use_backend
from tlkit.utils.extras import needs
from tlkit.utils.hashing import file_digest
from tlkit.utils.logging import logger
from tlkit.utils.text import escape_control_chars

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
    if config.kind in BY_TENSORFLOW:
        use_backend("tensorflow", by=f"TensorFlow writes {config.kind}")
    classifier = choose_classifier(
        PredictConfig(
            images=(), model=config.source, size=config.size, resize=config.resize, preprocess=config.preprocess,
            labels=config.labels,
        )
    )  # fmt: skip
    if classifier.network.runtime is not None:
        raise UsageError(f"{config.source} is what `tlkit export` wrote.", hint="Export the run that it was made from.")
    modality = classifier.network.preprocessor.modality
    if modality is not IMAGE:
        raise UsageError(f"{config.source} takes {modality.name}; tlkit exports classifiers of images.")
    _check_names(classifier)
    run = _run_of(config.source)
    patterns = made_images(_preprocessor(classifier), resize_inside=config.resize_inside)
    engine, images = open_engine(classifier.network), _images(config, run, classifier) or patterns
    expected = Expected(classifier, engine, images, patterns)
    manifest = _manifest(config, classifier, run, expected)
    check_neighbours(manifest, config)
    try:
        with part_folder(Path(config.output).parent) as folder:
            return _write(config, classifier, run, manifest, expected, folder)
    except OSError as error:
        raise TlkitError(f"Cannot write {error.filename2 or path}: {error.strerror or error}.") from error


def _write(
    config: ExportConfig,
    classifier: Classifier,
    run: tuple[Path, RunRecord] | None,
    manifest: Manifest,
    expected: Expected,
    folder: Path,
) -> ExportResult:
    """Write into a folder, prove what is there, and move it into place."""
    path, images = model_path(config), expected.images
    written, plain, resized, calibration = folder / path.name, None, None, None
    larger = folder / f"float32{path.suffix}"
    if config.precision != "float32":
        plain, resized = _in_float32(config, classifier, manifest, expected, larger)
    if config.precision == "int8":
        calibration = _calibration(config, run, classifier).inputs
    for in_float in write_attempts(config.kind, classifier, manifest, calibration, written, larger):
        exported, float32_ms = open_runtime(written, config.kind), None
        if config.resize_inside and plain is None:
            resized = resize_difference(expected, exported)
        proof = prove(expected, exported, resized)
        if plain is not None:
            float32_ms, milliseconds = time_each([plain, exported], images.inputs)
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


def _in_float32(
    config: ExportConfig, classifier: Classifier, manifest: Manifest, expected: Expected, path: Path
) -> tuple[Run, tuple[float, float] | None]:
    """Write the same network in float32, which what is smaller is compared with, and check it with patterns.

    Raises:
        ModelError: It gives other answers already.
    """
    write_float(config.kind, classifier, dataclasses.replace(manifest, precision="float32"), path)
    plain = open_runtime(path, config.kind)
    resized = resize_difference(expected, plain) if config.resize_inside else None
    proof = prove(expected.of_patterns_alone(), plain, resized)
    if not proof.is_equal:
        raise ModelError(
            f"{config.output} is not given out: already in float32, {proof.fault()}.", hint="Try another --format."
        )
    return plain, resized


def _check_names(classifier: Classifier) -> None:
    """Refuse class names with bytes that are no text, which no format can hold."""
    for name in (name for names in classifier.classes for name in names):
        try:
            name.encode()
        except UnicodeEncodeError as error:
            raise UsageError(
                f"The class name {escape_control_chars(name)} is not UTF-8, and the formats hold nothing else.",
                hint="Rename its folder and train again.",
            ) from error


def _run_of(source: str) -> tuple[Path, RunRecord] | None:
    """Return the run that is the source, and its record; None for a model file."""
    path = Path(source)
    if path.name == MODEL and (path.parent / RECORD).is_file():
        path = path.parent
    return (path, read_run(path)) if path.is_dir() else None


def _images(config: ExportConfig, run: tuple[Path, RunRecord] | None, classifier: Classifier) -> LoadedImages | None:
    """Return the images to prove the export on; None where there are none."""
    if config.check is not None:
        return _images_in(config.check, config, classifier, MOST)
    if run is not None:
        try:
            preprocessor = _preprocessor(classifier)
            return images_of_run(*run, VALIDATION, preprocessor, MOST, resize_inside=config.resize_inside)
        except DataError as reason:
            logger.warning("%s", reason.message)
    return None


def _images_in(data: str, config: ExportConfig, classifier: Classifier, most: int) -> LoadedImages:
    labels, names = zip(*classifier.classes, strict=True)
    return images_in(
        data, [names, labels], _preprocessor(classifier), most,
        multi_label=classifier.thresholds is not None, resize_inside=config.resize_inside,
    )  # fmt: skip


def _preprocessor(classifier: Classifier) -> ImagePreprocessor:
    preprocessor = classifier.network.preprocessor
    assert isinstance(preprocessor, ImagePreprocessor)  # what takes audio was refused
    return preprocessor


def _calibration(config: ExportConfig, run: tuple[Path, RunRecord] | None, classifier: Classifier) -> LoadedImages:
    """Return the images that tell the range of each tensor."""
    if config.calibrate is not None:
        return _images_in(config.calibrate, config, classifier, MOST_CALIBRATED)
    try:
        if run is None:
            raise DataError(f"{config.source} is no run, so its training images are not known.")
        preprocessor = _preprocessor(classifier)
        return images_of_run(*run, TRAIN, preprocessor, MOST_CALIBRATED, resize_inside=config.resize_inside)
    except DataError as reason:
        raise DataError(
            f"--precision int8 needs images to calibrate on. {reason.message}", hint="Name some with --calibrate DATA."
        ) from reason


def _manifest(
    config: ExportConfig,
    classifier: Classifier,
    run: tuple[Path, RunRecord] | None,
    expected: Expected,
) -> Manifest:
    labels, names = zip(*classifier.classes, strict=True)
    unknown = None
    best = expected.probabilities.max(axis=1)
    if not expected.images.are_made and classifier.thresholds is None and len(best) >= _FEWEST_FOR_UNKNOWN:
        unknown = min(float(np.quantile(best, _KNOWN_TURNED_AWAY)), _MOST_FOR_UNKNOWN)
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

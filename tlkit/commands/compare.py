"""Compare bases for a data folder by linear probes on their features."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tlkit.analysis.probes import difference_p_value, draw_folds, mean_interval, probe
from tlkit.architectures.architecture import Architecture
from tlkit.architectures.layer_tables import layers_of
from tlkit.architectures.registry.lookup import get_architecture
from tlkit.commands.archs import list_architectures
from tlkit.config import CompareConfig
from tlkit.data.dataset import Dataset, scan_dataset
from tlkit.data.hold_out import unit_numbers
from tlkit.data.layout import TRAIN, VALIDATION
from tlkit.data.modality import MODALITIES
from tlkit.errors import DataError, InputError, UsageError, WeightsError
from tlkit.features.extractor import FeatureExtractor
from tlkit.features.spec import FeatureSpec
from tlkit.inference.base import run
from tlkit.inference.select import open_engine
from tlkit.reporting.html import check_page_path
from tlkit.reporting.metrics import format_accuracy
from tlkit.training.reproduce import command_line, versions
from tlkit.training.split_data import SplitData
from tlkit.training.split_features import split_features
from tlkit.utils.logging import logger
from tlkit.utils.text import join_truncated, pluralize

SIGNIFICANT = 0.05
"""p-values below call a difference real."""
_TIMED = 16
"""Images in the batch whose time is measured."""
_ROUNDS = 5


@dataclass(frozen=True)
class Candidate:
    """A base and what is taken from it.

    Attributes:
        architecture: The base.
        layer: The layer; None for the last.
        size: Input height and width; None for the architecture's.
    """

    architecture: Architecture
    layer: str | None
    size: tuple[int, int] | None


@dataclass(frozen=True)
class Row:
    """How well a base does.

    Attributes:
        arch: Its name.
        layer: The layer that the features are of.
        size: Input height and width in pixels.
        accuracy: Mean of a linear classifier over all folds, 0 to 1.
        interval: Its 95% confidence interval, which accounts for the repeats.
        ms_per_image: Time of the network for an image, in a batch, without decoding.
        megabytes: Size of the weights.
        features: Length of the vector.
        p_value: Of the difference to the best; 1 of the best itself.
    """

    arch: str
    layer: str
    size: tuple[int, int]
    accuracy: float
    interval: tuple[float, float]
    ms_per_image: float
    megabytes: float
    features: int
    p_value: float

    @property
    def equal_to_best(self) -> bool:
        """Whether the best is not shown to be better."""
        return self.p_value >= SIGNIFICANT

    def to_dict(self) -> dict[str, Any]:
        """Return the row as JSON values."""
        return {
            "arch": self.arch,
            "layer": self.layer,
            "size": list(self.size),
            "accuracy": self.accuracy,
            "interval": list(self.interval),
            "ms_per_image": round(self.ms_per_image, 3),
            "megabytes": self.megabytes,
            "features": self.features,
            "p_value": self.p_value,
            "equal_to_best": self.equal_to_best,
        }


@dataclass(frozen=True)
class CompareResult:
    """Bases in the order of their accuracy.

    Attributes:
        data: The data folder.
        images: Number of images of train and validation, which are compared on.
        folds: Number of folds.
        repeats: How often folds were drawn.
        rows: The best first.
        left_out: ``(architecture, reason)`` of those that could not be compared.
        skipped: ``(path, reason)`` of images that cannot be read.
        warnings: What to know about the data.
    """

    data: str
    images: int
    folds: int
    repeats: int
    rows: tuple[Row, ...]
    left_out: tuple[tuple[str, str], ...]
    skipped: tuple[tuple[str, str], ...]
    warnings: tuple[str, ...]

    @property
    def verdict(self) -> str:
        """Which is the best, and whether it really is, in a sentence."""
        best, *others = self.rows
        names = [name_of(row, self.rows) for row in others if row.equal_to_best]
        if not others:
            return f"Only {best.arch} was compared."
        if not names:
            return f"{name_of(best, self.rows)} is better than all others."
        cheapest = min((row for row in self.rows if row.equal_to_best), key=lambda row: row.ms_per_image)
        return (
            f"{name_of(best, self.rows)} is not shown to be better than {join_truncated(names)}: take them for equal; "
            f"{name_of(cheapest, self.rows)} is the fastest of them."
        )

    def to_dict(self) -> dict[str, Any]:
        """Return what ``tlkit compare --format json`` prints."""
        return {
            "rows": [row.to_dict() for row in self.rows],
            "best": self.rows[0].arch,
            "images": self.images,
            "folds": self.folds,
            "repeats": self.repeats,
            "verdict": self.verdict,
            "left_out": [{"arch": name, "error": reason} for name, reason in self.left_out],
            "skipped": [{"input": path, "error": reason} for path, reason in self.skipped],
            "warnings": list(self.warnings),
        }


def name_of(row: Row, rows: Sequence[Row]) -> str:
    """Return the name of a base, with its layer and size where those tell it from others."""
    same = [other for other in rows if other.arch == row.arch]
    parts = [row.arch]
    if len({other.layer for other in same}) > 1:
        parts.append(row.layer)
    if len({other.size for other in same}) > 1:
        parts.append(f"{row.size[0]}x{row.size[1]}")
    return " ".join(parts)


def compare(config: CompareConfig) -> CompareResult:
    """Fit linear classifiers to the features of each base, on the same repeated folds, and rank the bases.

    Raises:
        TlkitError: Options or data that cannot be used, no base that can be compared, or the report cannot be written.
    """
    if config.report is not None:
        check_page_path(Path(config.report), "tlkit compare", force=config.force)
    candidates = _candidates(config)
    modality = MODALITIES[candidates[0].architecture.modality]
    dataset = scan_dataset(config.data, seed=config.seed, modality=modality, **config.scanning)
    for warning in dataset.warnings:
        logger.warning(warning)
    measured: list[tuple[Candidate, _Measured]] = []
    left_out: list[tuple[str, str]] = []
    for candidate in candidates:
        try:
            measured.append((candidate, _measure(candidate, dataset, config)))
        except WeightsError as error:
            left_out.append((candidate.architecture.name, error.message))
            logger.warning("%s is left out: %s", candidate.architecture.name, error.message)
    if not measured:
        raise WeightsError(
            f"No base can be compared: {left_out[0][1]}", hint="`tlkit archs` shows which have their weights here."
        )
    best = max(measured, key=lambda found: found[1].accuracies.mean())[1]
    rows = [found.row(candidate, best, config.folds) for candidate, found in measured]
    result = CompareResult(
        data=config.data,
        images=len(measured[0][1].images.splits[TRAIN].files) + len(measured[0][1].images.splits[VALIDATION].files),
        folds=config.folds,
        repeats=config.repeats,
        rows=tuple(sorted(rows, key=lambda row: (-row.accuracy, row.ms_per_image))),
        left_out=tuple(left_out),
        skipped=tuple(measured[0][1].images.skipped),
        warnings=dataset.warnings,
    )
    if config.report is not None:
        _write_report(result, config, measured[0][1].images)
    return result


def _candidates(config: CompareConfig) -> list[Candidate]:
    if config.archs is None:
        here = [info.architecture for info in list_architectures() if info.installed]
        architectures = [one for one in here if one.modality == "image"]
        logger.info(
            "Comparing the bases whose weights are here: %s.", join_truncated(one.name for one in architectures)
        )
    else:
        architectures = [get_architecture(name) for name in _words(config.archs)]
    if not architectures:
        raise UsageError(
            "No base is named, and none has its weights here.", hint="Use --archs, or `tlkit weights pull`."
        )
    if len({one.modality for one in architectures}) > 1:
        raise UsageError("--archs names networks for images and for audio.", hint="Compare them apart.")
    layers = _words(config.layer) if config.layer else [None]
    sizes = [config.checked_size(word) for word in _words(config.size)] if config.size else [None]
    for one in architectures:
        known = [layer.name for layer in layers_of(one, include_top=False)]
        for layer in layers:
            if layer is not None and layer not in known:
                raise UsageError(
                    f"{one.name} has no layer {layer!r} in its base.",
                    hint=f"`tlkit archs {one.name}` lists its layers.",
                )
        for size in sizes:
            one.input_size(size, include_top=False)
    return [Candidate(one, layer, size) for one in architectures for layer in layers for size in sizes]


def _words(text: str) -> list[str]:
    return list(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))


@dataclass(frozen=True)
class _Measured:
    """What was measured of a base: accuracy on each fold, and its cost."""

    images: SplitData
    accuracies: np.ndarray
    ms_per_image: float
    features: int
    layer: str
    size: tuple[int, int]

    def row(self, candidate: Candidate, best: _Measured, folds: int) -> Row:
        low, high = mean_interval(self.accuracies, folds, sum(len(each.files) for each in self.images.splits.values()))
        p_value = 1.0 if self is best else difference_p_value(best.accuracies, self.accuracies, folds)
        return Row(
            candidate.architecture.name, self.layer, self.size, float(self.accuracies.mean()),
            (max(low, 0.0), min(high, 1.0)), self.ms_per_image, candidate.architecture.size_mb, self.features, p_value,
        )  # fmt: skip


def _measure(candidate: Candidate, dataset: Dataset, config: CompareConfig) -> _Measured:
    spec = FeatureSpec.from_architecture(
        candidate.architecture, weights="imagenet", layer=candidate.layer, size=candidate.size
    )
    preprocessor = spec.network.preprocessor
    images = SplitData(dataset, preprocessor, config.batch_size or 32)
    images.splits = {split: images.splits[split] for split in (TRAIN, VALIDATION)}  # test stays unseen
    extractor = FeatureExtractor(spec, engine=config.engine, precision=config.precision)
    features = split_features(images, extractor, batch_size=config.batch_size, description=candidate.architecture.name)
    vectors = np.concatenate([features[split] for split in images.splits])
    labels = np.concatenate([found.labels for found in images.splits.values()])
    files = [file for found in images.splits.values() for file in found.files]
    digests = [digest for split in images.splits for digest in images.digests(split)]
    groups = unit_numbers(files, digests, dataset.groups)
    few = int(np.bincount(labels).min())
    if few < config.folds:
        name = images.classes[int(np.bincount(labels).argmin())]
        raise DataError(
            f"{name} has {pluralize(few, 'image')}, fewer than --folds {config.folds}.",
            hint=f"{f'Use --folds {few}, or add' if few > 1 else 'Add'} images.",
        )
    folds = draw_folds(labels, config.folds, config.repeats, groups, seed=config.seed)
    layer = candidate.layer or layers_of(candidate.architecture, include_top=False)[-1].name
    milliseconds = _time(spec, images, config)
    accuracies = probe(vectors, labels, len(images.classes), folds)
    return _Measured(images, accuracies, milliseconds, vectors.shape[1], layer, preprocessor.size)


def _time(spec: FeatureSpec, images: SplitData, config: CompareConfig) -> float:
    """Return the milliseconds that the network takes for an image, the least of a few batches."""
    preprocessor, arrays = spec.network.preprocessor, []
    for file in images.splits[TRAIN].files:
        try:
            arrays.append(preprocessor.to_array(preprocessor.load(file)))
        except InputError:
            continue
        if len(arrays) == _TIMED:
            break
    pixels = np.stack(arrays)
    engine = open_engine(spec.network, engine=config.engine, precision=config.precision)
    run(engine, pixels)
    seconds = []
    for _ in range(_ROUNDS):
        started = time.perf_counter()
        run(engine, pixels)
        seconds.append(time.perf_counter() - started)
    return min(seconds) * 1000 / len(pixels)


def _write_report(result: CompareResult, config: CompareConfig, images: SplitData) -> None:
    from tlkit.reporting.gallery import GalleryPage, write_gallery
    from tlkit.reporting.plots import draw_comparison

    best = result.rows[0]
    points = [(name_of(row, result.rows), row.ms_per_image, row.accuracy, row.interval) for row in result.rows]
    page = GalleryPage(
        title=f"Bases for {config.data}",
        preprocessor=images.preprocessor,
        highlights=[
            ("best base", name_of(best, result.rows)),
            ("accuracy", format_accuracy(best.accuracy, best.interval)),
            ("images", f"{result.images:,}"),
        ],
        warnings=(result.verdict, *result.warnings),
        plots=[("Accuracy and cost", draw_comparison(points), "Accuracy of each base over its time for an image")],
        table=("base", "accuracy", "ms an image", "MB", "features", "p"),
        table_title="Bases",
        table_note="Accuracy is that of a linear classifier on the features of a base, for images that it was not "
        f"trained on: all are dealt into {result.folds} folds, {pluralize(result.repeats, 'time')}. Brackets hold its "
        "95% confidence interval. ms an image: of the network alone, without reading files. Features: how many "
        "numbers the base gives for an image. p: how often chance alone would make a base differ so much from the "
        f"best; below {SIGNIFICANT:g} it counts as worse.",
        rows=[
            (
                name_of(row, result.rows),
                format_accuracy(row.accuracy, row.interval),
                f"{row.ms_per_image:.2f}",
                f"{row.megabytes:g}",
                f"{row.features:,}",
                "best" if row is best else f"{row.p_value:.2g}",
            )
            for row in result.rows
        ],
        skipped=result.skipped,
        arguments=config.effective(),
        versions=versions(),
        command=command_line("compare", config),
    )
    assert config.report is not None
    write_gallery(page, Path(config.report))

"""Compute bottleneck features, the output of the frozen base, for every image of a data folder."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tlkit.architectures.registry.lookup import get_architecture
from tlkit.config import BottleneckConfig
from tlkit.data.dataset import Dataset, list_files, scan_dataset
from tlkit.data.labelled_files import relative_name
from tlkit.data.modality import Modality
from tlkit.distributed.shares import PartResult, compute_part, parts_of
from tlkit.errors import DataError, FeatureError, TlkitError, UsageError
from tlkit.features.bottleneck_files import SPLITS, open_splits, split_files, write_splits
from tlkit.features.export import FileGroup, export_features
from tlkit.features.extractor import FeatureExtractor, refuse_difference
from tlkit.features.io import FeatureBlocks, FeatureFile, looks_like_features
from tlkit.features.parquet_files import check_pyarrow, is_features
from tlkit.features.spec import FeatureSpec
from tlkit.features.store import can_resume
from tlkit.inference.provenance import Provenance
from tlkit.utils.locks import locked
from tlkit.utils.logging import logger
from tlkit.utils.output_file import check_output
from tlkit.utils.text import join_truncated

PART, LOCK = "bottleneck_features.part", ".tlkit.lock"
_HINT = "Choose another folder with -o, or use --force to overwrite it."


@dataclass(frozen=True)
class BottleneckResult:
    """Features that were written.

    Attributes:
        output: The folder.
        files: The files of each split.
        shapes: ``(rows, …)`` of the features of each split.
        classes: Class names; the position is the label.
        provenance: What decides the numbers.
        computed: Number of rows computed now; the others existed.
        skipped: ``(file, reason)`` of images without a row.
        left_out: Number of files in class folders that are no images, by the end of their names.
        notes: Measured error of a lower precision.
        warnings: What to know about the data.
    """

    output: Path
    files: Mapping[str, tuple[Path, ...]]
    shapes: Mapping[str, tuple[int, ...]]
    classes: tuple[str, ...]
    provenance: Provenance
    computed: int
    skipped: tuple[tuple[str, str], ...]
    left_out: Mapping[str, int]
    notes: Mapping[str, Any]
    warnings: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON document of ``tlkit bottleneck --json``."""
        return {
            "output": str(self.output),
            "splits": {
                name: {"shape": list(shape), "files": [str(path) for path in self.files[name]]}
                for name, shape in self.shapes.items()
            },
            "classes": list(self.classes),
            "provenance": self.provenance.to_dict(),
            "computed": self.computed,
            "skipped": [{"input": source, "error": reason} for source, reason in self.skipped],
            "left_out": dict(self.left_out),
            "notes": dict(self.notes),
            "warnings": list(self.warnings),
        }


def bottleneck(config: BottleneckConfig) -> BottleneckResult | PartResult:
    """Compute the features of each split and write them; after an interruption the same call resumes.

    Features of the same provenance that the folder holds are reused: only new and changed images are computed. With
    ``part``, one share of all images is computed and nothing is written yet.

    Raises:
        TlkitError: Options contradict each other, weights cannot be found, the data cannot be used, or the folder
            holds features of something else or cannot be written to.
    """
    output = Path(config.output)
    if config.format == "parquet":
        check_pyarrow()
    if Path(config.data).resolve() in (output.resolve(), *output.resolve().parents):
        raise UsageError(
            f"{output} is inside the data folder, where it would become a class.",
            hint="Choose a folder elsewhere with -o.",
        )
    extractor = feature_extractor(config)
    modality = extractor.modality
    parts = output / f"{_begin(config)}bottleneck_features.parts"
    if config.part is not None:
        files = list_files(config.data, modality=modality, exclude=config.exclude, group=config.group)
        existing = _existing(output, output / f"{_begin(config)}{PART}", extractor, config).values()
        return compute_part(config, parts, extractor, files, batch_size=config.batch_size, existing=existing)
    dataset = scan_dataset(config.data, seed=config.seed, modality=modality, **config.scanning)
    for warning in dataset.warnings:
        logger.warning(warning)
    if config.seed and not (dataset.held_out or config.weights == "none" or config.skip_mismatch):
        logger.warning("--seed has no effect: %s has a validation folder, and no weights are random.", config.data)
    try:
        output.mkdir(parents=True, exist_ok=True)
        with (
            locked(output / LOCK, remove=True),
            parts_of(config, parts, extractor, partial(feature_extractor, config), batch_size=config.batch_size),
        ):
            return _compute(output, dataset, extractor, config)
    except OSError as error:
        raise FeatureError(
            f"Cannot write to {output}: {error.strerror or error}.",
            hint="Fix that and run the same command again; it resumes.",
        ) from error


def feature_extractor(config: BottleneckConfig) -> FeatureExtractor:
    """Return what computes the features, on this machine or another."""
    spec = FeatureSpec.from_architecture(
        get_architecture(config.arch, config.build),
        weights=config.weights,
        load=config.load,
        layer=config.layer,
        pooling=config.pooling,
        size=config.size,
        resize=config.resize,
        seed=config.seed,
    )
    return FeatureExtractor(spec, engine=config.engine, precision=config.precision)


def _begin(config: BottleneckConfig) -> str:
    """Return how names begin that are no part of a dataset to those that read one."""
    return "_" if config.format == "parquet" else ""


def _compute(output: Path, dataset: Dataset, extractor: FeatureExtractor, config: BottleneckConfig) -> BottleneckResult:
    part = output / f"{_begin(config)}{PART}"
    existing = _existing(output, part, extractor, config)
    groups = {
        name: FileGroup(
            split.files,
            [relative_name(file, dataset.root) for file in split.files],
            dataset.digests[name],
            split.labels,
            dataset.classes,
        )
        for name, split in dataset.splits.items()
    }
    files = {name: split_files(output, config.format, name) for name in groups}
    complete = all(path.is_file() for paths in files.values() for path in paths)
    metadata = {name: rows.metadata for name, rows in existing.items()}
    shapes = {name: rows.shape for name, rows in existing.items()}
    computed = 0
    if complete and _is_current(existing, groups):
        logger.info("%s is up to date.", output)
        shutil.rmtree(part, ignore_errors=True)
    else:
        shapes.clear()

        def write(splits: Mapping[str, FeatureBlocks]) -> None:
            for name, features in splits.items():
                _refuse_lost_classes(name, groups[name], features, extractor.modality)
                metadata[name], shapes[name] = features.metadata, features.shape
            write_splits(output, config.format, splits)

        computed = export_features(
            part, extractor, groups, write, existing=existing.values(), batch_size=config.batch_size
        )
        files = {name: split_files(output, config.format, name) for name in groups}  # Parquet has as many as it takes
    return BottleneckResult(
        output,
        files,
        {name: (len(metadata[name].files), *shapes[name]) for name in groups},
        dataset.classes,
        extractor.provenance,
        computed,
        (*dataset.skipped, *(item for name in groups for item in metadata[name].skipped)),
        dataset.left_out,
        next(iter(metadata.values())).notes,
        dataset.warnings,
    )


def _existing(
    output: Path, part: Path, extractor: FeatureExtractor, config: BottleneckConfig
) -> dict[str, FeatureFile]:
    """The features of this provenance that the folder holds; those of another, and files of others, are refused."""
    paths = {split: split_files(output, config.format, split) for split in SPLITS}
    every = {path for files in paths.values() for path in files}
    if config.format == "parquet":  # whatever else there is would belong to the dataset
        every |= {*output.glob("*.parquet")}
    if config.force:
        for path in every:
            check_output(path, force=True)
        return {}
    try:
        existing = open_splits(output, config.format)
    except TlkitError as error:
        raise FeatureError(f"{output} cannot be updated: {error.message}", hint=_HINT) from error
    for rows in existing.values():
        refuse_difference(f"What {output} holds", rows.metadata.provenance, extractor.provenance, _HINT)
    resumed = config.format != "hdf5" and can_resume(part, extractor.provenance)
    own = {path for split in existing for path in paths[split]}
    looks_own = is_features if config.format == "parquet" else looks_like_features
    for path in sorted(every):
        check_output(path, lambda path: path in own or (resumed and looks_own(path)))
    return existing


def _is_current(existing: Mapping[str, FeatureFile], groups: Mapping[str, FileGroup]) -> bool:
    """Return True when finished files hold exactly these images and classes, undamaged."""
    return existing.keys() == groups.keys() and all(
        not (metadata := existing[name].metadata).skipped
        and list(metadata.digests) == list(group.digests)
        and list(metadata.files) == list(group.names)
        and list(metadata.classes) == list(group.classes)
        and np.array_equal(np.asarray(metadata.labels), np.asarray(group.labels))
        and existing[name].is_sound()
        for name, group in groups.items()
    )


def _refuse_lost_classes(name: str, group: FileGroup, features: FeatureBlocks, modality: Modality) -> None:
    labels = features.metadata.labels
    lost = {*np.asarray(group.labels).tolist()} - {*np.asarray(labels).tolist()}
    if lost:
        names = join_truncated([group.classes[label] for label in sorted(lost)])
        raise DataError(
            f"No {modality.singular} of {names} in {name} can be read.",
            hint=f"Replace the {modality.plural} named above, or remove the class folder.",
        )

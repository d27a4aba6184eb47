"""What the frozen base says of every picture of a data folder, computed once and kept."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tlkit.architectures.registry.lookup import get_architecture
from tlkit.config import BottleneckConfig
from tlkit.data.dataset import Dataset, Split, scan_dataset
from tlkit.data.modality import MODALITIES, Modality
from tlkit.errors import DataError, FeatureError, TlkitError, UsageError
from tlkit.features.bottleneck_files import existing_sets, undescribed, write_sets
from tlkit.features.compute_missing import FillResult, file_digests
from tlkit.features.extractor import FeatureExtractor, refuse_difference
from tlkit.features.io import FeatureFile, FeatureMetadata, take_over
from tlkit.features.spec import of_architecture
from tlkit.features.store import FeatureStore, can_resume, open_store
from tlkit.utils.locks import locked
from tlkit.utils.logging import logger
from tlkit.utils.text import join_truncated

PART, LOCK = "bottleneck_features.part", ".tlkit.lock"


@dataclass(frozen=True)
class Bottleneck:
    """What was written.

    Attributes:
        output: The folder.
        files: What is in it, by split.
        shapes: Of the features, by split; rows first.
        classes: Class names; the position is the label.
        provenance: What decides the numbers.
        notes: Measured errors of a lower precision.
        failed: ``(file, reason)`` of pictures without a row.
        computed: Rows that were computed now.
        warnings: What a person should know of the data.
    """

    output: Path
    files: Mapping[str, tuple[Path, ...]]
    shapes: Mapping[str, tuple[int, ...]]
    classes: tuple[str, ...]
    provenance: Mapping[str, Any]
    notes: Mapping[str, Any]
    failed: tuple[tuple[str, str], ...]
    computed: int
    warnings: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return what ``tlkit bottleneck --json`` prints."""
        return {
            "output": str(self.output),
            "splits": {
                name: {"shape": list(shape), "files": [str(path) for path in self.files[name]]}
                for name, shape in self.shapes.items()
            },
            "classes": list(self.classes),
            "provenance": dict(self.provenance),
            "computed": self.computed,
            "failed": [{"input": source, "error": reason} for source, reason in self.failed],
            "notes": dict(self.notes),
            "warnings": list(self.warnings),
        }


def bottleneck(config: BottleneckConfig) -> Bottleneck:
    """Compute the features of each split and write them; interrupted, the same call goes on where it was.

    What the folder has already of the same provenance is kept: pictures that are new or changed are computed.

    Raises:
        TlkitError: Options that contradict each other, weights that cannot be had, data that is none, a folder that
            holds features of something else or cannot be written to.
    """
    output = Path(config.output)
    if Path(config.data).resolve() in (output.resolve(), *output.resolve().parents):
        raise UsageError(
            f"{output} is inside the data folder, where it would be taken for a class.",
            hint="Name a folder elsewhere with -o.",
        )
    architecture = get_architecture(config.arch, config.build)
    modality = MODALITIES[architecture.modality]
    dataset = scan_dataset(config.data, val_split=config.val_split, seed=config.seed, modality=modality)
    extractor = FeatureExtractor(
        of_architecture(
            architecture,
            weights=config.weights,
            load=config.load,
            layer=config.layer,
            pooling=config.pooling,
            size=config.size,
            resize=config.resize,
            seed=config.seed,
        ),
        engine=config.engine,
        precision=config.precision,
    )
    for warning in dataset.warnings:
        logger.warning(warning)
    try:
        output.mkdir(parents=True, exist_ok=True)
        with locked(output / LOCK, remove=True):
            return _fill_and_write(output, dataset, extractor, config)
    except OSError as error:
        raise FeatureError(
            f"Cannot write to {output}: {error.strerror or str(error)}.",
            hint="Run the same command again when that is mended; it goes on where it was.",
        ) from error


def _fill_and_write(
    output: Path, dataset: Dataset, extractor: FeatureExtractor, config: BottleneckConfig
) -> Bottleneck:
    found = {}
    if not config.force:
        found = _found(output, extractor, config)
        _refuse_foreign(output, config, extractor)
    modality = extractor.modality
    splits = {
        name: _Wanted(split, config.data, file_digests(split.files, modality), modality)
        for name, split in dataset.splits.items()
    }
    files = write_sets(output, config.format, {}, names=splits)
    there = all(path.is_file() for paths in files.values() for path in paths)
    same = found.keys() == splits.keys() and all(splits[name].is_told_by(rows, dataset) for name, rows in found.items())
    if there and same and all(rows.is_sound() for rows in found.values()):
        logger.info("%s is up to date.", output)
        shutil.rmtree(output / PART, ignore_errors=True)
        return Bottleneck(
            output,
            files,
            {name: (len(rows.facts.files), *rows.shape) for name, rows in found.items()},
            dataset.classes,
            extractor.provenance,
            next(iter(found.values())).facts.notes,
            (),
            0,
            dataset.warnings,
        )
    part = output / PART
    with open_store(part, extractor.provenance) as store:
        wanted = {digest for split in splits.values() for digest in split.digests if digest is not None}
        for rows in found.values():
            take_over(store, rows, wanted)
        facts: dict[str, FeatureMetadata] = {}
        rows_of: dict[str, np.ndarray] = {}
        computed = 0
        for name, split in splits.items():
            filled = extractor.fill(
                split.split.files, [store], batch_size=config.batch_size, description=f"features of {name}",
                known=split.digests,
            )  # fmt: skip
            facts[name] = split.facts(name, filled, store, dataset, extractor)
            rows_of[name] = filled.rows[0][:, 0]
            computed += filled.computed
        assert store.shapes is not None
        shape = store.shapes[0]
        sets = {name: (store.blocks(rows_of[name]), shape, facts[name]) for name in facts}
        files = write_sets(output, config.format, sets, names=splits)
    shutil.rmtree(part, ignore_errors=True)
    return Bottleneck(
        output,
        files,
        {name: (len(one.files), *shape) for name, one in facts.items()},
        dataset.classes,
        extractor.provenance,
        extractor.notes,
        tuple(item for one in facts.values() for item in one.failed),
        computed,
        dataset.warnings,
    )


def _refuse_foreign(output: Path, config: BottleneckConfig, extractor: FeatureExtractor) -> None:
    """Files of these names that no description of ours goes with are somebody's own."""
    if can_resume(output / PART, extractor.provenance):
        return
    foreign = [path.name for path in undescribed(output) if path.is_file()] if config.format == "npy" else []
    if foreign:
        raise UsageError(
            f"{output} holds {join_truncated(foreign)}, which tlkit did not write.",
            hint="Name another folder with -o, or say --force to write over it.",
        )


def _found(output: Path, extractor: FeatureExtractor, config: BottleneckConfig) -> dict[str, FeatureFile]:
    """What the folder holds already, of this provenance; refused when it is of another."""
    hint = "Name another folder with -o, or say --force to write over it."
    try:
        found = existing_sets(output, config.format)
    except TlkitError as error:
        raise FeatureError(f"{output} cannot be gone on with: {error.message}", hint=hint) from error
    for rows in found.values():
        refuse_difference(f"What {output} holds", rows.facts.provenance, extractor.provenance, hint)
    return found


@dataclass(frozen=True)
class _Wanted:
    """The files of one split, and the digests of their bytes."""

    split: Split
    data: str
    digests: Sequence[bytes | None]
    modality: Modality

    def is_told_by(self, rows: FeatureFile, dataset: Dataset) -> bool:
        """True when a set has exactly these pictures and these classes."""
        facts = rows.facts
        return (
            not facts.failed
            and list(facts.digests) == list(self.digests)
            and list(facts.files) == [self._name(file) for file in self.split.files]
            and list(facts.classes) == list(dataset.classes)
            and np.array_equal(facts.labels if facts.labels is not None else [], self.split.labels)
        )

    def _name(self, file: str) -> str:
        return os.path.relpath(file, self.data)

    def facts(
        self, name: str, filled: FillResult, store: FeatureStore, dataset: Dataset, extractor: FeatureExtractor
    ) -> FeatureMetadata:
        """What belongs to the rows that were found for it."""
        files = [self._name(file) for file in self.split.files]
        for position, reason in filled.failed:
            logger.warning("%s is skipped: %s.", self.split.files[position], reason)
        labels = self.split.labels[filled.positions]
        lost = [dataset.classes[label] for label in sorted({*self.split.labels.tolist()} - {*labels.tolist()})]
        if lost:
            raise DataError(
                f"No {self.modality.singular} of {join_truncated(lost)} in {name} can be read.",
                hint=f"Replace the {self.modality.plural} named above, or remove the class folder.",
            )
        return FeatureMetadata(
            extractor.provenance,
            [files[position] for position in filled.positions],
            filled.digests,
            store.checks(filled.rows[0][:, 0]),
            labels,
            dataset.classes,
            [(files[position], reason) for position, reason in filled.failed],
            extractor.notes,
        )

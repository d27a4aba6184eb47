"""The pictures or clips of a data set as a base sees them: their features, and those that cannot be read."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tlkit.data.batches import read_batches
from tlkit.data.dataset import TRAIN, Dataset, Split
from tlkit.data.preprocessor import Preprocessor
from tlkit.errors import DataError, FeatureError
from tlkit.features.bottleneck_files import FORMATS, existing_sets
from tlkit.features.cache import FeatureCache
from tlkit.features.compute_missing import AugmentedVariants, file_digests
from tlkit.features.extractor import FeatureExtractor, refuse_difference
from tlkit.features.io import FeatureFile
from tlkit.features.store import FeatureStore
from tlkit.training.rows import Arrays, FeatureDataset
from tlkit.utils.logging import logger
from tlkit.utils.text import join_truncated, pluralize


class Pictures:
    """The splits of a data set; pictures that cannot be read leave them.

    Args:
        dataset: What was found.
        preprocessor: How a file becomes an input.
        batch_size: Files at a time.
    """

    def __init__(self, dataset: Dataset, preprocessor: Preprocessor, batch_size: int) -> None:
        self.classes = dataset.classes
        self.splits = dict(dataset.splits)
        self.preprocessor = preprocessor
        self.batch_size = batch_size
        self.skipped: list[tuple[str, str]] = []
        self.warnings: list[str] = []
        self._digests: dict[str, list[bytes | None]] = {}

    def rows(
        self,
        extractor: FeatureExtractor,
        numbers: Sequence[int],
        kept: FeatureCache,
        splits: Sequence[str],
        *,
        copies: AugmentedVariants | None = None,
    ) -> dict[str, list[FeatureDataset]]:
        """Rows of sources for splits, computed where they are not kept yet.

        Args:
            extractor: What computes them.
            numbers: Which of its sources.
            kept: Where they are kept; the rows can be read as long as it is open.
            splits: Which.
            copies: Variants to compute of every training picture instead of the picture itself.

        Raises:
            DataError: No picture of a class can be read.
        """
        found: dict[str, list[FeatureDataset]] = {}
        for split in splits:
            changed = copies if split == TRAIN else None
            extra = {"augment": changed.provenance} if changed else {}
            work = partial(
                extractor.fill,
                self.splits[split].files,
                numbers=numbers,
                description=f"features of {split}",
                known=self.known(split),
                copies=changed,
            )
            stores, filled = kept.fill([{**extractor.provenances[number], **extra} for number in numbers], work)
            self._leave_out(split, filled.failed)
            self._digests[split] = list(filled.digests)
            found[split] = [
                _rows_of(store, rows, self.splits[split].labels)
                for store, rows in zip(stores, filled.rows, strict=True)
            ]
        return found

    def given_rows(self, folder: str, extractor: FeatureExtractor, splits: Sequence[str]) -> dict[str, FeatureDataset]:
        """Rows of the first source that ``tlkit bottleneck`` wrote.

        Raises:
            FeatureError: The folder has features of something else, or not of every picture.
        """
        wanted = extractor.provenance
        return {split: self._from_sets(folder, wanted, extractor.asked == "auto", split) for split in splits}

    def known(self, split: str) -> list[bytes | None]:
        """SHA-256 of the pictures of a split; None for what cannot be read."""
        if split not in self._digests:
            self._digests[split] = file_digests(self.splits[split].files, self.preprocessor.modality)
        return self._digests[split]

    def fingerprint(self) -> str:
        """One name for the pictures, their classes and their splits."""
        digest = hashlib.sha256()
        for name in sorted(self.splits):
            digest.update(f"{name} {list(self.classes)}\n".encode())
            rows = zip(self.known(name), self.splits[name].labels.tolist(), strict=True)
            for picture, label in rows:  # in order: it decides what an epoch sees when
                digest.update(label.to_bytes(4, "big") + (picture or b"-"))
        return digest.hexdigest()

    def _from_sets(self, folder: str, wanted: Mapping[str, Any], any_engine: bool, split: str) -> FeatureDataset:
        found = [existing_sets(Path(folder), kind) for kind in FORMATS] if Path(folder).is_dir() else []
        found = [sets for sets in found if sets]
        for number, sets in enumerate(found, start=1):
            try:
                return self._from_set(folder, sets, wanted, any_engine, split)
            except FeatureError:
                if number == len(found):  # a folder may hold both formats, and one of them be old
                    raise
        raise FeatureError(
            f"There are no finished features in {folder}.",
            hint=f"`tlkit bottleneck DATA -o {folder}` computes them.",
        )

    def _from_set(
        self, folder: str, sets: Mapping[str, FeatureFile], wanted: Mapping[str, Any], any_engine: bool, split: str
    ) -> FeatureDataset:
        hint = "Give the options they were computed with, or leave --features out."
        place = {}
        for name, rows in sets.items():
            has = rows.facts.provenance
            if any_engine:
                wanted = {**wanted, "engine": has.get("engine")}
            refuse_difference(f"What {folder} holds", has, wanted, hint)
            place.update({digest: (name, row) for row, digest in enumerate(rows.facts.digests)})
        files = self.splits[split].files
        digests = self.known(split)
        lost = [file for file, digest in zip(files, digests, strict=True) if digest is not None and digest not in place]
        unreadable = self._unreadable([files.index(file) for file in lost], split)
        changed = [file for file in lost if file not in unreadable]
        if changed:
            number = pluralize(len(changed), self.preprocessor.modality.singular)
            raise FeatureError(
                f"{folder} has no features of {number} of {split}, which are new or changed: "
                f"{join_truncated(changed)}.",
                hint=f"`tlkit bottleneck DATA -o {folder}` with the same options computes what is missing.",
            )
        bad = [
            (position, unreadable.get(file, "it cannot be read"))
            for position, (file, digest) in enumerate(zip(files, digests, strict=True))
            if digest is None or file in unreadable
        ]
        self._leave_out(split, bad)
        kept = [place[digest] for digest in digests if digest in place]
        shape = next(iter(sets.values())).shape
        starts = {name: sum(len(other.facts.files) for other in list(sets.values())[:number])
                  for number, name in enumerate(sets)}  # fmt: skip
        numbers = np.array([starts[name] + row for name, row in kept], np.int64)

        def read(rows: np.ndarray) -> Arrays:
            found = np.empty((len(rows), *shape), np.float32)
            for name, one in sets.items():
                own = (rows >= starts[name]) & (rows < starts[name] + len(one.facts.files))
                if own.any():
                    found[own] = one.read(rows[own] - starts[name])
            return (found,)

        return FeatureDataset(read, numbers[:, np.newaxis], self.splits[split].labels, (tuple(shape),))

    def _unreadable(self, positions: Sequence[int], split: str) -> dict[str, str]:
        """Of some pictures, those that cannot be read, with the reason."""
        files = [self.splits[split].files[position] for position in positions]
        failed: dict[str, str] = {}
        for batch in read_batches(files, self.preprocessor, self.batch_size):
            failed.update({files[position]: reason for position, reason in batch.failed})
        return failed

    def drop_unreadable(self, split: str) -> None:
        """Read a split only to find what cannot be read; hours of training must not end there."""
        failed: list[tuple[int, str]] = []
        for batch in read_batches(self.splits[split].files, self.preprocessor, self.batch_size):
            failed += batch.failed
        self._leave_out(split, failed)

    def _leave_out(self, split: str, failed: Sequence[tuple[int, str]]) -> None:
        before = self.splits[split]
        for position, reason in failed:
            logger.warning("%s is skipped: %s.", before.files[position], reason)
            self.skipped.append((before.files[position], reason))
        bad = {position for position, _ in failed}
        kept = [position for position in range(len(before.files)) if position not in bad]
        labels = before.labels[kept]
        lost = [self.classes[label] for label in sorted(set(before.labels.tolist()) - set(labels.tolist()))]
        if lost and (split == TRAIN or not kept):
            raise DataError(
                f"No {self.preprocessor.modality.singular} of {join_truncated(lost)} in {split} can be read.",
                hint=f"Replace the {self.preprocessor.modality.plural} named above, or remove the class folder.",
            )
        if lost:
            singular = self.preprocessor.modality.singular
            self.warnings.append(
                f"No {singular} of {join_truncated(lost)} in {split} can be read: nothing says how well it does."
            )
            logger.warning(self.warnings[-1])
        self.splits[split] = Split(tuple(before.files[position] for position in kept), labels)
        if len(self._digests.get(split, ())) == len(before.files):
            self._digests[split] = [self._digests[split][position] for position in kept]

    def counts(self) -> dict[str, dict[str, int]]:
        """How many pictures each class has in each split."""
        return {
            name: dict(zip(self.classes, np.bincount(split.labels, minlength=len(self.classes)).tolist(), strict=True))
            for name, split in self.splits.items()
        }


def _rows_of(store: FeatureStore, numbers: np.ndarray, labels: np.ndarray) -> FeatureDataset:
    assert store.shapes is not None
    outputs = range(len(store.shapes))
    return FeatureDataset(
        lambda rows: tuple(store.read(rows, output) for output in outputs), numbers, labels, store.shapes
    )

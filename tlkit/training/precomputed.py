"""Features that ``tlkit bottleneck`` wrote, for ``finetune --features``."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tlkit.errors import FeatureError
from tlkit.features.bottleneck_files import FORMATS, open_splits
from tlkit.features.extractor import refuse_difference
from tlkit.features.io import FeatureFile
from tlkit.inference.provenance import Provenance
from tlkit.training.datasets import Arrays, FeatureDataset
from tlkit.training.split_data import SplitData
from tlkit.utils.text import join_truncated, pluralize


def open_precomputed(
    folder: str, expected: Provenance, images: SplitData, split: str, *, any_engine: bool
) -> tuple[FeatureDataset, Provenance]:
    """Open the features of the images of a split; an image of any split of the folder is found by its digest.

    Args:
        folder: Where ``tlkit bottleneck`` wrote.
        expected: What decides the features of this run.
        images: The splits; images that cannot be read are dropped.
        split: Name of the split, such as ``train``.
        any_engine: Accept features of either engine.

    Returns:
        The features, and what decided them.

    Raises:
        FeatureError: The folder has features of something else, or not of every image.
    """
    found = [open_splits(Path(folder), file_format) for file_format in FORMATS] if Path(folder).is_dir() else []
    found = [files for files in found if files]
    for number, files in enumerate(found, start=1):
        try:
            return _from_files(folder, files, expected, images, split, any_engine)
        except FeatureError:
            if number == len(found):  # a folder may hold both formats, and one of them may be old
                raise
    raise FeatureError(
        f"There are no finished features in {folder}.", hint=f"`tlkit bottleneck DATA -o {folder}` computes them."
    )


def _from_files(
    folder: str,
    files: Mapping[str, FeatureFile],
    expected: Provenance,
    images: SplitData,
    split: str,
    any_engine: bool,
) -> tuple[FeatureDataset, Provenance]:
    parts = list(files.values())
    starts = np.cumsum([0, *(len(part.metadata.files) for part in parts)])
    rows: dict[bytes, int] = {}
    for part, start in zip(parts, starts.tolist(), strict=False):
        has = part.metadata.provenance
        needed = dataclasses.replace(expected, engine=has.engine) if any_engine else expected
        refuse_difference(
            f"What {folder} holds", has, needed, "Use the options it was computed with, or leave --features out."
        )
        rows.update({digest: start + row for row, digest in enumerate(part.metadata.digests)})
    _drop_or_refuse(folder, rows, images, split)
    numbers = np.array([rows[digest] for digest in images.digests(split) if digest is not None], np.int64)
    shape = parts[0].shape

    def read(numbers: np.ndarray) -> Arrays:
        features = np.empty((len(numbers), *shape), np.float32)
        for part, start, stop in zip(parts, starts, starts[1:], strict=False):
            own = (numbers >= start) & (numbers < stop)
            if own.any():
                features[own] = part.read(numbers[own] - start)
        return (features,)

    data = FeatureDataset(read, numbers[:, np.newaxis], images.splits[split].labels, (tuple(shape),))
    return data, parts[0].metadata.provenance


def _drop_or_refuse(folder: str, rows: Mapping[bytes, int], images: SplitData, split: str) -> None:
    """Drop the images without features that cannot be read; refuse to train without the others."""
    files, digests = images.splits[split].files, images.digests(split)
    lacking = [position for position, digest in enumerate(digests) if digest is not None and digest not in rows]
    failed = {lacking[position]: reason for position, reason in images.unreadable([files[place] for place in lacking])}
    changed = [files[position] for position in lacking if position not in failed]
    if changed:
        number = pluralize(len(changed), images.preprocessor.modality.singular)
        raise FeatureError(
            f"{folder} has no features of {number} of {split}, which are new or changed: {join_truncated(changed)}.",
            hint=f"`tlkit bottleneck DATA -o {folder}` with the same options computes the missing features.",
        )
    failed.update({position: "it cannot be read" for position, digest in enumerate(digests) if digest is None})
    images.drop(split, sorted(failed.items()))

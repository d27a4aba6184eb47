"""Rows of features for ``model.fit``, read where they are kept; memory stays flat whatever their number."""

from __future__ import annotations

from typing import Any

import numpy as np

from tlkit.errors import FeatureError
from tlkit.training.epochs import BatchSequence, EpochSampler
from tlkit.training.rows import Arrays, FeatureDataset


class FeatureSequence(BatchSequence):
    """Batches of ``(features, labels)``; the order of an epoch depends on the seed alone.

    Args:
        rows: The rows.
        batch_size: Rows a batch; the last may have fewer.
        seed: Draws a new order, and a variant of each row, each epoch; None keeps the order and the first variant.
        memory: Bytes up to which all rows are held in memory.
    """

    def __init__(self, rows: FeatureDataset, *, batch_size: int, seed: int | None = None, memory: int = 2**30) -> None:
        super().__init__(EpochSampler(rows.numbers.shape, seed), len(rows), batch_size)
        self._rows = rows
        self._held = rows.read(rows.numbers.ravel()) if rows.bytes <= memory else None

    def __getitem__(self, index: int) -> tuple[Any, np.ndarray]:
        rows, variants = self._order.batch(index, self._batch_size)
        if self._held is not None:
            places = rows * self._rows.numbers.shape[1] + variants
            features: Arrays = tuple(output[places] for output in self._held)
        else:
            try:
                features = self._rows.read(self._rows.numbers[rows, variants])
            except FeatureError as error:
                self.failure = error
                raise
        return features if len(features) > 1 else features[0], self._rows.labels[rows]

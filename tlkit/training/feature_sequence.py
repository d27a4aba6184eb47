"""Rows of features for ``model.fit``, read where they are kept; memory stays flat whatever their number."""

from __future__ import annotations

import numpy as np

from tlkit.backend import keras
from tlkit.training.rows import IN_MEMORY, Rows


class FeatureSequence(keras.utils.PyDataset):
    """Batches of ``(features, labels)``; the order depends on the seed alone.

    Args:
        rows: The rows.
        batch_size: Rows a batch; the last may have fewer.
        shuffle_seed: Draws a new order each epoch; None keeps the order.
    """

    def __init__(self, rows: Rows, *, batch_size: int, shuffle_seed: int | None = None) -> None:
        super().__init__(workers=1, use_multiprocessing=False, max_queue_size=8)
        self._rows, self._batch_size = rows, batch_size
        self._held = rows.read(rows.numbers) if rows.bytes <= IN_MEMORY else None
        self._random = None if shuffle_seed is None else np.random.default_rng(shuffle_seed)
        self._order = np.arange(len(rows))
        self.on_epoch_end()

    def __len__(self) -> int:
        return -(-len(self._rows) // self._batch_size)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        chosen = self._order[index * self._batch_size : (index + 1) * self._batch_size]
        if self._held is not None:
            return self._held[chosen], self._rows.labels[chosen]
        return self._rows.batch(chosen)

    def on_epoch_end(self) -> None:
        """Draw the order of the next epoch."""
        if self._random is not None:
            self._order = self._random.permutation(len(self._rows))

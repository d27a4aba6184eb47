"""Labelled pictures for ``model.fit``, decoded anew each epoch by the one decode path."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from tlkit.backend import keras
from tlkit.errors import DataError, ImageError
from tlkit.images.batches import Look
from tlkit.text import printable


class ImageSequence(keras.utils.PyDataset):
    """Batches of ``(inputs, labels)``; threads read ahead, order depends on the seed alone.

    Args:
        files: Paths of pictures that could be read before.
        labels: ``(len(files),)`` class numbers.
        look: How a picture becomes an input.
        batch_size: Rows a batch; the last may have fewer.
        shuffle_seed: Draws a new order each epoch; None keeps the order.
    """

    def __init__(
        self,
        files: Sequence[str],
        labels: np.ndarray,
        *,
        look: Look,
        batch_size: int,
        shuffle_seed: int | None = None,
    ) -> None:
        super().__init__(workers=max(2, os.cpu_count() or 1), use_multiprocessing=False, max_queue_size=4)
        self._files, self._labels = files, labels
        self._look, self._batch_size = look, batch_size
        self._random = None if shuffle_seed is None else np.random.default_rng(shuffle_seed)
        self._order = np.arange(len(files))
        self.failure: DataError | None = None
        self.on_epoch_end()

    def __len__(self) -> int:
        return -(-len(self._files) // self._batch_size)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        chosen = self._order[index * self._batch_size : (index + 1) * self._batch_size]
        pixels = np.stack([self._read(self._files[position]) for position in chosen])
        return self._look.inputs(pixels), self._labels[chosen]

    def on_epoch_end(self) -> None:
        """Draw the order of the next epoch."""
        if self._random is not None:
            self._order = self._random.permutation(len(self._files))

    def _read(self, file: str) -> np.ndarray:
        try:
            return self._look.read(file)
        except ImageError as error:
            self.failure = DataError(f"{printable(file)} could be read before and cannot be now: {error.message}.")
            raise self.failure from error

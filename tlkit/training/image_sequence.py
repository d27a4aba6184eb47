"""Labelled pictures for ``model.fit``, decoded and augmented anew each epoch, through the frozen part of a network."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from tlkit.backend import keras
from tlkit.errors import DataError, ImageError
from tlkit.images.augment import Augmenter
from tlkit.images.batches import Look
from tlkit.text import printable
from tlkit.training.epochs import Order
from tlkit.training.rows import Arrays


class ImageSequence(keras.utils.PyDataset):
    """Batches of ``(inputs, labels)``; order and augmentation of an epoch depend on the seed alone.

    Args:
        files: Paths of pictures that could be read before.
        labels: ``(len(files),)`` class numbers.
        look: How a picture becomes pixels.
        batch_size: Rows a batch; the last may have fewer.
        compute: What the frozen part says of pixels ``(rows, height, width, channels)`` uint8; None where nothing
            is frozen, so that batches are inputs of the network itself.
        augment: Changes each picture, each epoch otherwise; None leaves them.
        seed: Draws a new order each epoch; None keeps the order.
    """

    def __init__(
        self,
        files: Sequence[str],
        labels: np.ndarray,
        *,
        look: Look,
        batch_size: int,
        compute: Callable[[np.ndarray], Arrays] | None = None,
        augment: Augmenter | None = None,
        seed: int | None = None,
    ) -> None:
        super().__init__(workers=1, use_multiprocessing=False, max_queue_size=4)
        self._files, self._labels = files, labels
        self._look, self._batch_size, self._compute, self._augment = look, batch_size, compute, augment
        self._order = Order((len(files), 1), seed)
        self._seed = seed or 0
        self._pool = ThreadPoolExecutor(max(2, os.cpu_count() or 1), thread_name_prefix="decode")
        self.failure: DataError | None = None

    @property
    def epoch(self) -> int:
        """Which epoch is next or under way, from 0."""
        return self._order.epoch

    @epoch.setter
    def epoch(self, number: int) -> None:
        self._order.epoch = number

    def __len__(self) -> int:
        return -(-len(self._files) // self._batch_size)

    def __getitem__(self, index: int) -> tuple[Any, np.ndarray]:
        rows, _ = self._order.batch(index, self._batch_size)
        pixels = np.stack(list(self._pool.map(self._read, rows.tolist())))
        if self._augment is not None:
            seeds = [(self._seed, self.epoch, row) for row in rows.tolist()]
            pixels = np.stack([self._augment(*each) for each in zip(pixels, seeds, strict=True)])
        if self._compute is None:
            return self._look.inputs(pixels), self._labels[rows]
        outputs = self._compute(pixels)
        return outputs if len(outputs) > 1 else outputs[0], self._labels[rows]

    def on_epoch_end(self) -> None:
        """Go on to the order of the next epoch."""
        self._order.epoch += 1

    def _read(self, row: int) -> np.ndarray:
        file = self._files[row]
        try:
            return self._look.read(file)
        except ImageError as error:
            self.failure = DataError(f"{printable(file)} could be read before and cannot be now: {error.message}.")
            raise self.failure from error

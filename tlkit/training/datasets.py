"""Labelled pictures for ``model.fit``, decoded and augmented anew each epoch, through the frozen part of a network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from tlkit.data.preprocessor import Preprocessor
from tlkit.errors import DataError, InputError
from tlkit.training.epochs import BatchSequence, EpochSampler
from tlkit.training.rows import Arrays
from tlkit.utils.processors import usable_processors


class ImageSequence(BatchSequence):
    """Batches of ``(inputs, labels)``; order and augmentation of an epoch depend on the seed alone.

    Args:
        files: Paths of pictures that could be read before.
        labels: ``(len(files),)`` class numbers.
        preprocessor: How a picture becomes pixels.
        batch_size: Rows a batch; the last may have fewer.
        compute: What the frozen part says of pixels ``(rows, height, width, channels)`` uint8; None where nothing
            is frozen, so that batches are inputs of the network itself.
        change: Gives other pixels for the pixels, the row, its variant and the epoch; None leaves pictures as they are.
        variants: How many variants a picture has; one is drawn each epoch.
        seed: Draws a new order each epoch; None keeps the order and the first variant.
    """

    def __init__(
        self,
        files: Sequence[str],
        labels: np.ndarray,
        *,
        preprocessor: Preprocessor,
        batch_size: int,
        compute: Callable[[np.ndarray], Arrays] | None = None,
        change: Callable[[np.ndarray, int, int, int], np.ndarray] | None = None,
        variants: int = 1,
        seed: int | None = None,
    ) -> None:
        super().__init__(EpochSampler((len(files), variants), seed), len(files), batch_size)
        self._files, self._labels = files, labels
        self._preprocessor, self._compute, self._change = preprocessor, compute, change
        self._pool = ThreadPoolExecutor(max(2, usable_processors()), thread_name_prefix="decode")

    def __getitem__(self, index: int) -> tuple[Any, np.ndarray]:
        rows, variants = self._order.batch(index, self._batch_size)
        pixels = np.stack(list(self._pool.map(self._read, rows.tolist())))
        if self._change is not None:
            chosen = zip(pixels, rows.tolist(), variants.tolist(), strict=True)
            pixels = np.stack([self._change(*each, self.epoch) for each in chosen])
        if self._compute is None:
            return self._preprocessor.to_model_input(pixels), self._labels[rows]
        outputs = self._compute(pixels)
        return outputs if len(outputs) > 1 else outputs[0], self._labels[rows]

    def _read(self, row: int) -> np.ndarray:
        file = self._files[row]
        try:
            return self._preprocessor.to_array(self._preprocessor.load(file))
        except InputError as error:
            self.failure = DataError(f"{file} could be read before and cannot be now: {error.message}.")
            raise self.failure from error

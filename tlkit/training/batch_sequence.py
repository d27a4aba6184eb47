"""What ``model.fit`` reads: labelled samples in batches."""

from __future__ import annotations

from typing import Any

import numpy as np

from tlkit.backend import keras
from tlkit.errors import TlkitError
from tlkit.training.datasets import LabelledData


class BatchSequence(keras.utils.PyDataset):
    """Batches for ``model.fit``, ``(inputs, labels)``.

    The order of an epoch is a function of seed and epoch alone, so that training resumes anywhere.

    Args:
        data: The samples.
        batch_size: Samples per batch; the last batch may have fewer.
        seed: Draws an order, and a variant of each sample, in every epoch; None for the order as it is.
        classes: Labels become rows of so many probabilities, as mixed images have them; None for labels as they are.
    """

    def __init__(
        self, data: LabelledData, *, batch_size: int, seed: int | None = None, classes: int | None = None
    ) -> None:
        super().__init__(workers=1, use_multiprocessing=False)  # decoding has threads of its own
        self.failure: TlkitError | None = None
        """The error that ended an epoch: TensorFlow passes on its text alone."""
        self.samples = len(data.labels)
        self._labels, self._variants, self._load = data.labels, data.variants, data.loader()
        self._batch_size, self._seed, self._mixer = batch_size, seed, data.mixer
        self._rows = None if classes is None else np.eye(classes, dtype=np.float32)
        self.epoch = 0

    @property
    def epoch(self) -> int:
        """The epoch, from 0; setting it draws its order."""
        return self._epoch

    @epoch.setter
    def epoch(self, number: int) -> None:
        self._epoch = number
        self._order, self._chosen = np.arange(self.samples), np.zeros(self.samples, np.int64)
        if self._seed is not None:
            random = np.random.default_rng([self._seed, number])
            self._order = random.permutation(self.samples)
            if self._variants > 1:
                self._chosen = random.integers(self._variants, size=self.samples)

    def __len__(self) -> int:
        return -(-self.samples // self._batch_size)

    def __getitem__(self, index: int) -> tuple[Any, np.ndarray]:
        batch = slice(index * self._batch_size, (index + 1) * self._batch_size)
        samples = self._order[batch]
        try:
            inputs = self._load(samples, self._chosen[batch], self.epoch)
        except TlkitError as error:
            self.failure = error
            raise
        return inputs if len(inputs) > 1 else inputs[0], self._targets(samples)

    def _targets(self, samples: np.ndarray) -> np.ndarray:
        labels: np.ndarray = self._labels[samples]
        if labels.ndim == 2:
            rows = labels.astype(np.float32)
        elif self._rows is None:
            return labels
        else:
            rows = self._rows[labels]
        return rows if self._mixer is None else self._mixer.draw(samples, self.epoch).labels(rows)

"""The order in which an epoch sees its rows: a function of seed and epoch, so that it can be taken up anywhere."""

from __future__ import annotations

import numpy as np

from tlkit.backend import keras
from tlkit.errors import TlkitError


class EpochSampler:
    """Which rows, in which variant, each batch of each epoch holds.

    Args:
        shape: How many rows there are, and how many variants each has.
        seed: Draws order and variants; None keeps the order and takes the first variant.
    """

    def __init__(self, shape: tuple[int, ...], seed: int | None) -> None:
        self._count, self._variants = shape
        self._seed = seed
        self.epoch = 0

    @property
    def epoch(self) -> int:
        """Which epoch, from 0."""
        return self._epoch

    @epoch.setter
    def epoch(self, number: int) -> None:
        self._epoch = number
        self._rows, self._chosen = np.arange(self._count), np.zeros(self._count, np.int64)
        if self._seed is not None:
            random = np.random.default_rng([self._seed, number])
            self._rows = random.permutation(self._count)
            if self._variants > 1:
                self._chosen = random.integers(self._variants, size=self._count)

    def batch(self, index: int, size: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows and the variant of each, ``(rows,)`` int64."""
        chosen = slice(index * size, (index + 1) * size)
        return self._rows[chosen], self._chosen[chosen]


class BatchSequence(keras.utils.PyDataset):
    """Batches for ``fit`` in such an order; threads of ours read ahead, not Keras's.

    Args:
        order: Which rows each batch of each epoch holds.
        rows: How many there are.
        batch_size: Rows a batch; the last may have fewer.
    """

    def __init__(self, order: EpochSampler, rows: int, batch_size: int) -> None:
        super().__init__(workers=1, use_multiprocessing=False)
        self.failure: TlkitError | None = None
        self._order, self._count, self._batch_size = order, rows, batch_size

    @property
    def epoch(self) -> int:
        """Which epoch is under way, from 0; its order and what is drawn in it depend on that."""
        return self._order.epoch

    @epoch.setter
    def epoch(self, number: int) -> None:
        self._order.epoch = number

    def __len__(self) -> int:
        return -(-self._count // self._batch_size)

"""Labelled rows of features to train a head on: in memory where they fit, else read a batch at a time."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

IN_MEMORY = 2**30
"""Bytes of features that are held in memory; larger sets are read from where they are, in every epoch."""


@dataclass(frozen=True)
class Rows:
    """Features with labels.

    Attributes:
        read: Gives rows by their numbers, ``(rows, …)`` float32.
        numbers: ``(rows,)`` the number of each row there.
        labels: ``(rows,)`` class numbers.
        shape: Of one row.
    """

    read: Callable[[np.ndarray], np.ndarray]
    numbers: np.ndarray
    labels: np.ndarray
    shape: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def bytes(self) -> int:
        """What all rows take in memory."""
        return 4 * len(self.numbers) * math.prod(self.shape)

    def batch(self, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Features and labels of the rows at ``chosen`` places."""
        return self.read(self.numbers[chosen]), self.labels[chosen]

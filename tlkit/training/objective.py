"""What every phase minimises, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tlkit.config import TrainingOptions


@dataclass(frozen=True)
class Objective:
    """What is minimised in every phase: cross-entropy.

    Attributes:
        classes: Number of classes.
        label_smoothing: Share of each label that is spread over all classes, 0 to 1.
        class_weight: Weight of the samples of each class; None for 1.
    """

    classes: int
    label_smoothing: float = 0.0
    class_weight: Mapping[int, float] | None = None

    @classmethod
    def for_labels(cls, config: TrainingOptions, labels: np.ndarray, classes: int) -> Objective:
        """Return the objective that a config asks for.

        Args:
            config: ``label_smoothing`` and ``class_weight``.
            labels: ``(samples,)`` int64, training labels; every class occurs.
            classes: Number of classes.
        """
        weights = balanced_weights(labels, classes) if config.class_weight == "auto" else None
        return cls(classes, config.label_smoothing, weights)

    def expected(self, labels: np.ndarray) -> np.ndarray:
        """Return the smoothed labels, ``(samples, classes)`` float32 of sum 1."""
        expected = np.full((len(labels), self.classes), self.label_smoothing / self.classes, np.float32)
        expected[np.arange(len(labels)), labels] += np.float32(1 - self.label_smoothing)
        return expected

    def weights(self, labels: np.ndarray) -> np.ndarray:
        """Return the weight of each sample, ``(samples,)`` float32."""
        of_class = self.class_weight or {}
        each: np.ndarray = np.array([of_class.get(label, 1.0) for label in range(self.classes)], np.float32)[labels]
        return each


def balanced_weights(labels: np.ndarray, classes: int) -> dict[int, float]:
    """Return class weights under which every class has the same total weight.

    As scikit-learn's ``balanced``: ``samples / (classes · samples of the class)``.

    Args:
        labels: ``(samples,)`` int64; every class occurs.
        classes: Number of classes.
    """
    counts = np.bincount(labels, minlength=classes)
    return {number: float(len(labels) / (classes * count)) for number, count in enumerate(counts)}

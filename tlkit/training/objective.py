"""What every phase minimises, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tlkit.config import TrainingOptions

_LEAST = 1e-7
"""Probabilities below count as this in a loss, as in Keras."""


@dataclass(frozen=True)
class Objective:
    """What is minimised in every phase: cross-entropy; where an image may have several labels, that of each by itself.

    Attributes:
        classes: Number of classes.
        label_smoothing: Share of each label that is spread over all classes, 0 to 1.
        class_weight: Weight of the samples of each class; None for 1.
        multi_label: Labels are rows, ``(samples, classes)`` bool, and a sample may have several.
    """

    classes: int
    label_smoothing: float = 0.0
    class_weight: Mapping[int, float] | None = None
    multi_label: bool = False

    @classmethod
    def for_labels(cls, config: TrainingOptions, labels: np.ndarray, classes: int) -> Objective:
        """Return the objective that a config asks for.

        Args:
            config: ``label_smoothing`` and ``class_weight``.
            labels: Training labels, ``(samples,)`` int64 or ``(samples, classes)`` bool; every class occurs.
            classes: Number of classes.
        """
        weights = balanced_weights(labels, classes) if config.class_weight == "auto" else None
        return cls(classes, config.label_smoothing, weights, labels.ndim == 2)

    def expected(self, labels: np.ndarray) -> np.ndarray:
        """Return the smoothed labels, ``(samples, classes)`` float32, of sum 1 unless there may be several."""
        if self.multi_label:
            return (labels * (1 - self.label_smoothing) + self.label_smoothing / 2).astype(np.float32)
        expected = np.full((len(labels), self.classes), self.label_smoothing / self.classes, np.float32)
        expected[np.arange(len(labels)), labels] += np.float32(1 - self.label_smoothing)
        return expected

    def weights(self, labels: np.ndarray) -> np.ndarray:
        """Return the weight of each sample, ``(samples,)`` float32."""
        if self.class_weight is None:
            return np.ones(len(labels), np.float32)
        of_class = self.class_weight
        each: np.ndarray = np.array([of_class.get(label, 1.0) for label in range(self.classes)], np.float32)[labels]
        return each

    def compare(self, probabilities: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
        """Return loss and accuracy, every sample weighted alike; of several labels, all have to be right.

        Args:
            probabilities: ``(samples, classes)`` float, 0 to 1.
            labels: Of the samples.
        """
        expected, given = self.expected(labels), np.log(np.maximum(probabilities, _LEAST))
        if self.multi_label:
            withheld = np.log(np.maximum(1 - probabilities, _LEAST))
            loss = -(expected * given + (1 - expected) * withheld).mean()
            return float(loss), float(((probabilities >= 0.5) == labels).all(axis=1).mean())
        loss = -(expected * given).sum(axis=1).mean()
        return float(loss), float((probabilities.argmax(axis=1) == labels).mean())


def balanced_weights(labels: np.ndarray, classes: int) -> dict[int, float]:
    """Return class weights under which every class has the same total weight.

    As scikit-learn's ``balanced``: ``samples / (classes · samples of the class)``.

    Args:
        labels: ``(samples,)`` int64; every class occurs.
        classes: Number of classes.
    """
    counts = np.bincount(labels, minlength=classes)
    return {number: float(len(labels) / (classes * count)) for number, count in enumerate(counts)}

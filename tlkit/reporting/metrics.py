"""How well a classifier does on labelled pictures, in numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

BINS = 10
"""Into how many steps of confidence calibration looks."""
MOST_IN_SUMMARY = 200
"""Classes up to which a summary holds the whole confusion matrix."""


@dataclass(frozen=True)
class ClassReport:
    """One class.

    Attributes:
        name: Of the class.
        pictures: How many pictures are of it.
        predicted: How many were taken for it.
        precision: Of those taken for it, the share that is; None where none was.
        recall: Of those that are of it, the share that was taken for it; None where there are none.
        f1: The harmonic mean of both; None where one is None.
    """

    name: str
    pictures: int
    predicted: int
    precision: float | None
    recall: float | None
    f1: float | None


@dataclass(frozen=True)
class Mistake:
    """A picture that was taken for something else.

    Attributes:
        position: In the list of pictures.
        truth: The class it is of.
        taken_for: The class it was taken for.
        confidence: How likely the network thought that, 0 to 1.
        truth_probability: How likely it thought the truth.
    """

    position: int
    truth: str
    taken_for: str
    confidence: float
    truth_probability: float


@dataclass(frozen=True)
class CalibrationBin:
    """Pictures about which the network was about as sure.

    Attributes:
        low: Least confidence.
        high: Greatest confidence.
        pictures: How many.
        confidence: Their mean confidence; None where there are none.
        accuracy: The share of them that was right; None where there are none.
    """

    low: float
    high: float
    pictures: int
    confidence: float | None
    accuracy: float | None


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What a classifier said of labelled pictures.

    Attributes:
        classes: Names of the classes.
        labels: ``(pictures,)`` the class each is of.
        probabilities: ``(pictures, classes)`` float, 0 to 1.
    """

    classes: Sequence[str]
    labels: np.ndarray
    probabilities: np.ndarray

    @cached_property
    def predicted(self) -> np.ndarray:
        """``(pictures,)`` the class each was taken for."""
        return np.asarray(self.probabilities.argmax(axis=1))

    @property
    def accuracy(self) -> float:
        """The share that was right, 0 to 1."""
        return float((self.predicted == self.labels).mean())

    def top(self, k: int) -> float:
        """The share whose class is among the ``k`` likeliest; equals are taken in class order."""
        best = np.argsort(-self.probabilities, axis=1, kind="stable")[:, :k]
        return float((best == self.labels[:, np.newaxis]).any(axis=1).mean())

    @property
    def top5(self) -> float | None:
        """:meth:`top` 5; None where there are no more than five classes."""
        return self.top(5) if len(self.classes) > 5 else None

    @cached_property
    def confusion(self) -> np.ndarray:
        """``(classes, classes)`` int64: how many pictures of the row's class were taken for the column's."""
        count = len(self.classes)
        return np.bincount(self.labels * count + self.predicted, minlength=count * count).reshape(count, count)

    @cached_property
    def by_class(self) -> list[ClassReport]:
        """Every class."""
        rows = []
        for number, name in enumerate(self.classes):
            right = int(self.confusion[number, number])
            pictures, predicted = int(self.confusion[number].sum()), int(self.confusion[:, number].sum())
            precision = right / predicted if predicted else None
            recall = right / pictures if pictures else None
            f1 = None if precision is None or recall is None else 2 * right / (pictures + predicted)
            rows.append(ClassReport(name, pictures, predicted, precision, recall, f1))
        return rows

    def worst(self, count: int) -> list[Mistake]:
        """The mistakes that the network was surest of."""
        confidence = self.probabilities.max(axis=1)
        wrong = np.flatnonzero(self.predicted != self.labels)
        order = wrong[np.argsort(-confidence[wrong], kind="stable")][:count]
        return [
            Mistake(
                position,
                self.classes[self.labels[position]],
                self.classes[self.predicted[position]],
                float(confidence[position]),
                float(self.probabilities[position, self.labels[position]]),
            )
            for position in order.tolist()
        ]

    @cached_property
    def calibration(self) -> list[CalibrationBin]:
        """Is it right as often as it says? One bin a tenth of confidence."""
        confidence = self.probabilities.max(axis=1)
        right = self.predicted == self.labels
        bins = []
        numbers = np.minimum((confidence * BINS).astype(int), BINS - 1)
        for number in range(BINS):
            own = numbers == number
            some = bool(own.any())
            bins.append(
                CalibrationBin(
                    number / BINS, (number + 1) / BINS, int(own.sum()),
                    float(confidence[own].mean()) if some else None, float(right[own].mean()) if some else None,
                )
            )  # fmt: skip
        return bins

    @property
    def calibration_error(self) -> float:
        """Expected calibration error (Naeini et al. 2015): the mean gap of confidence and accuracy, 0 to 1."""
        gaps = [
            bin.pictures * abs(bin.confidence - bin.accuracy)
            for bin in self.calibration
            if bin.confidence is not None and bin.accuracy is not None
        ]
        return float(sum(gaps) / len(self.labels))

    def summary(self) -> dict[str, Any]:
        """All of it as JSON knows it, without the pictures."""
        return {
            "pictures": len(self.labels),
            "accuracy": self.accuracy,
            "top5_accuracy": self.top5,
            "calibration_error": self.calibration_error,
            "classes": [
                {
                    "name": row.name,
                    "pictures": row.pictures,
                    "predicted": row.predicted,
                    "precision": row.precision,
                    "recall": row.recall,
                    "f1": row.f1,
                }
                for row in self.by_class
            ],
            # a thousand classes would be a million numbers
            "confusion": self.confusion.tolist() if len(self.classes) <= MOST_IN_SUMMARY else None,
        }

"""Metrics of a classifier on labelled images: accuracy, per-class scores, confusion matrix, calibration."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np

CALIBRATION_BINS = 10
"""Number of equal-width confidence bins for calibration."""
_LEAST = 1e-7
MAX_CLASSES_IN_SUMMARY = 200
"""Most classes for which a summary includes the confusion matrix: that of 1,000 classes has a million entries."""


def wilson_interval(share: float, number: int) -> tuple[float, float]:
    """Return the 95% confidence interval of a share, 0 to 1.

    Source: Wilson, Probable Inference (1927).

    Args:
        share: Of correct predictions, 0 to 1.
        number: Of predictions, at least 1.
    """
    z = 1.959964
    middle = share + z * z / (2 * number)
    half = z * math.sqrt(share * (1 - share) / number + (z / (2 * number)) ** 2)
    low, high = ((middle + side * half) / (1 + z * z / number) for side in (-1, 1))
    return max(min(low, share), 0.0), min(max(high, share), 1.0)  # rounding must not leave the share outside


def format_accuracy(accuracy: float, interval: Sequence[float]) -> str:
    """Return an accuracy with its interval: ``0.950 [0.912, 0.973]``."""
    return f"{accuracy:.3f} [{interval[0]:.3f}, {interval[1]:.3f}]"


@dataclass(frozen=True)
class ClassReport:
    """Scores of one class.

    Attributes:
        name: Of the class.
        images: Number of images whose true class it is.
        predicted: Number of images predicted as it.
        precision: Fraction of ``predicted`` that is correct, 0 to 1; None if nothing was predicted as it.
        recall: Fraction of ``images`` that is predicted as it, 0 to 1; None if there are no images of it.
        f1: Harmonic mean of precision and recall; None if either is None.
    """

    name: str
    images: int
    predicted: int
    precision: float | None
    recall: float | None
    f1: float | None


@dataclass(frozen=True)
class Misclassification:
    """An image whose predicted class is not its true class.

    Attributes:
        position: Index of the image.
        true: The true class.
        predicted: The predicted class.
        confidence: Probability of the predicted class, 0 to 1.
        true_probability: Probability of the true class, 0 to 1.
        explained: Index of the class that a heat map shows: the predicted one.
    """

    position: int
    true: str
    predicted: str
    confidence: float
    true_probability: float
    explained: int


@dataclass(frozen=True)
class CalibrationBin:
    """Images of similar confidence.

    Attributes:
        low: Lower bound of the confidence, inclusive.
        high: Upper bound, exclusive; 1 is in the last bin.
        images: Number of images.
        confidence: Their mean confidence; None if there are none.
        accuracy: Their accuracy; None if there are none.
    """

    low: float
    high: float
    images: int
    confidence: float | None
    accuracy: float | None


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Predictions of a classifier on labelled images, with their metrics. Audio clips count as images.

    Attributes:
        classes: Class names.
        labels: ``(images,)`` int64, the true class of each image, an index into ``classes``.
        probabilities: ``(images, classes)`` float, 0 to 1.
        temperature: That made the probabilities of those before calibration; 1 for none.
        before: ``(images, classes)`` float, the probabilities before calibration; None without one.
    """

    classes: Sequence[str]
    labels: np.ndarray
    probabilities: np.ndarray
    temperature: float = 1.0
    before: np.ndarray | None = None

    @cached_property
    def predicted(self) -> np.ndarray:
        """``(images,)`` int64, the predicted class of each image."""
        return np.asarray(self.probabilities.argmax(axis=1))

    @cached_property
    def confidence(self) -> np.ndarray:
        """``(images,)`` the probability of each predicted class, 0 to 1."""
        return np.asarray(self.probabilities.max(axis=1))

    @cached_property
    def correct(self) -> np.ndarray:
        """``(images,)`` bool."""
        return np.asarray(self.predicted == self.labels)

    @property
    def accuracy(self) -> float:
        """Fraction of correct predictions, 0 to 1."""
        return float(self.correct.mean())

    @property
    def interval(self) -> tuple[float, float]:
        """95% confidence interval of the accuracy, 0 to 1."""
        return wilson_interval(self.accuracy, len(self.labels))

    @property
    def cross_entropy(self) -> float:
        """Mean cross-entropy of the labels, in nats."""
        of_label = self.probabilities[np.arange(len(self.labels)), self.labels]
        return -float(np.log(np.maximum(of_label, _LEAST)).mean())

    @property
    def errors(self) -> int:
        """Number of wrong predictions."""
        return int((~self.correct).sum())

    def top(self, k: int) -> float:
        """Return the fraction of images whose true class is among the ``k`` most probable; ties in class order."""
        best = np.argsort(-self.probabilities, axis=1, kind="stable")[:, :k]
        return float((best == self.labels[:, np.newaxis]).any(axis=1).mean())

    @property
    def top5(self) -> float | None:
        """Top-5 accuracy, 0 to 1; None with five classes or fewer."""
        return self.top(5) if len(self.classes) > 5 else None

    @property
    def top5_interval(self) -> tuple[float, float]:
        """95% confidence interval of the top-5 accuracy, 0 to 1."""
        return wilson_interval(self.top(5), len(self.labels))

    @cached_property
    def confusion(self) -> np.ndarray:
        """Confusion matrix, ``(classes, classes)`` int64: rows are true classes, columns predicted ones."""
        count = len(self.classes)
        return np.bincount(self.labels * count + self.predicted, minlength=count * count).reshape(count, count)

    @cached_property
    def by_class(self) -> list[ClassReport]:
        """Scores of every class, in class order."""
        reports = []
        for index, name in enumerate(self.classes):
            correct = int(self.confusion[index, index])
            images, predicted = int(self.confusion[index].sum()), int(self.confusion[:, index].sum())
            precision = correct / predicted if predicted else None
            recall = correct / images if images else None
            f1 = None if precision is None or recall is None else 2 * correct / (images + predicted)
            reports.append(ClassReport(name, images, predicted, precision, recall, f1))
        return reports

    def most_confident_errors(self, count: int) -> list[Misclassification]:
        """Return up to ``count`` wrong predictions, the most confident first."""
        wrong = np.flatnonzero(~self.correct)
        order = wrong[np.argsort(-self.confidence[wrong], kind="stable")][:count]
        return [
            Misclassification(
                position,
                self.classes[self.labels[position]],
                self.classes[self.predicted[position]],
                float(self.confidence[position]),
                float(self.probabilities[position, self.labels[position]]),
                int(self.predicted[position]),
            )
            for position in order.tolist()
        ]

    @cached_property
    def calibration(self) -> list[CalibrationBin]:
        """Accuracy by confidence, in :data:`CALIBRATION_BINS` bins of equal width."""
        correct = self.correct
        indices = np.minimum((self.confidence * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
        bins = []
        for index in range(CALIBRATION_BINS):
            members = indices == index
            images = int(members.sum())
            bins.append(
                CalibrationBin(
                    index / CALIBRATION_BINS,
                    (index + 1) / CALIBRATION_BINS,
                    images,
                    float(self.confidence[members].mean()) if images else None,
                    float(correct[members].mean()) if images else None,
                )
            )
        return bins

    @property
    def uncalibrated(self) -> Evaluation | None:
        """The same before calibration; None without one."""
        return None if self.before is None else Evaluation(self.classes, self.labels, self.before)

    @property
    def calibration_error(self) -> float:
        """Expected calibration error (Naeini et al. 2015): mean gap of confidence and accuracy, 0 to 1."""
        gaps = [
            bin.images * abs(bin.confidence - bin.accuracy)
            for bin in self.calibration
            if bin.confidence is not None and bin.accuracy is not None
        ]
        return float(sum(gaps) / len(self.labels))

    def summary(self) -> dict[str, Any]:
        """Return the metrics as JSON values, without the predictions."""
        return {
            "images": len(self.labels),
            "accuracy": self.accuracy,
            "interval": list(self.interval),
            "top5_accuracy": self.top5,
            "top5_interval": None if self.top5 is None else list(self.top5_interval),
            **self.calibration_summary(),
            "classes": [asdict(report) for report in self.by_class],
            "confusion": self.confusion.tolist() if len(self.classes) <= MAX_CLASSES_IN_SUMMARY else None,
        }

    def calibration_summary(self) -> dict[str, Any]:
        """Return the calibration as JSON values."""
        return {
            "calibration_error": self.calibration_error,
            "calibration": {
                "error": self.calibration_error,
                "temperature": self.temperature,
                "error_uncalibrated": (self.uncalibrated or self).calibration_error,
            },
        }

"""Metrics of a classifier that gives several labels an image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np

from tlkit.reporting.metrics import (
    CalibrationBin,
    ClassReport,
    Evaluation,
    Misclassification,
    format_accuracy,
    wilson_interval,
)

DEFAULT_THRESHOLD = 0.5
"""The threshold of labels whose images say nothing better."""
_RESAMPLED, _LEAST_RESAMPLED, _MOST_DRAWN = 200, 50, 2_000_000
"""Resamplings of the bootstrap: so many, or fewer where the images of all of them were more than the last."""


@dataclass(frozen=True)
class LabelReport(ClassReport):
    """Scores of one label.

    Attributes:
        average_precision: Mean precision at its images, ranked by probability, 0 to 1; None if there are none.
        threshold: Probability from which on the label is given.
    """

    average_precision: float | None
    threshold: float


@dataclass(frozen=True, eq=False)
class MultiLabelEvaluation(Evaluation):
    """Predictions of a classifier that gives several labels an image, with their metrics.

    Attributes:
        labels: ``(images, classes)`` bool.
        probabilities: ``(images, classes)`` float, 0 to 1, of each label by itself.
        thresholds: The probability of each class from which on it is given; empty for 0.5 of all.
        apart: ``(images, classes)`` float64, in place of thresholds that were chosen on these images: for each image
            what was chosen on others.
    """

    thresholds: Sequence[float] = ()
    apart: np.ndarray | None = None

    @cached_property
    def predicted(self) -> np.ndarray:
        """``(images, classes)`` bool, the labels that each image is given."""
        return np.asarray(self.probabilities >= self._lines)

    @property
    def _lines(self) -> np.ndarray:
        """What each probability is compared with."""
        return self._thresholds if self.apart is None else self.apart

    @property
    def _thresholds(self) -> np.ndarray:
        return np.array(self.thresholds or [DEFAULT_THRESHOLD] * len(self.classes))

    @cached_property
    def correct(self) -> np.ndarray:
        """``(images,)`` bool, whether all labels of an image are right."""
        return np.asarray((self.predicted == self.labels).all(axis=1))

    @property
    def mean_average_precision(self) -> float | None:
        """Mean of the average precisions of all labels that an image has, 0 to 1; None if there are none."""
        found = [report.average_precision for report in self.by_class if report.average_precision is not None]
        return sum(found) / len(found) if found else None

    @cached_property
    def mean_average_precision_interval(self) -> tuple[float, float] | None:
        """95% confidence interval of the mean average precision, 0 to 1."""
        found = mean_average_precision_interval(self.labels, self.probabilities)
        if found is None or found[0] < found[1]:
            return found
        return wilson_interval(found[0], len(self.labels))  # resampling a perfect ranking finds nothing else

    @property
    def ranking(self) -> str:
        """The mean average precision with its interval, as text."""
        value, interval = self.mean_average_precision, self.mean_average_precision_interval
        return "–" if value is None or interval is None else format_accuracy(value, interval)

    @property
    def top5(self) -> None:
        """There is no top-5 accuracy of several labels."""

    @cached_property
    def by_class(self) -> list[LabelReport]:  # type: ignore[override]  # each is a ClassReport
        """Scores of every label, in class order."""
        reports = []
        for index, name in enumerate(self.classes):
            has, given = self.labels[:, index], self.predicted[:, index]
            images, predicted, both = int(has.sum()), int(given.sum()), int((has & given).sum())
            precision, recall = both / predicted if predicted else None, both / images if images else None
            f1 = None if precision is None or recall is None else 2 * both / (images + predicted)
            ranked = average_precision(has, self.probabilities[:, index])
            threshold = float(self._thresholds[index])
            reports.append(LabelReport(name, images, predicted, precision, recall, f1, ranked, threshold))
        return reports

    def most_confident_errors(self, count: int) -> list[Misclassification]:
        """Return up to ``count`` images with a wrong label, those first whose wrongest is furthest from its line."""
        wrong = np.flatnonzero(~self.correct)
        distance = np.abs(self.probabilities - self._lines) * (self.predicted != self.labels)
        order = wrong[np.argsort(-distance[wrong].max(axis=1), kind="stable")][:count]
        errors = []
        for position in order.tolist():
            worst = int(distance[position].argmax())
            probability = float(self.probabilities[position, worst])
            true, predicted = self._named(self.labels[position]), self._named(self.predicted[position])
            errors.append(Misclassification(position, true, predicted, probability, 1 - probability, worst))
        return errors

    def _named(self, which: np.ndarray) -> str:
        return ", ".join(self.classes[index] for index in np.flatnonzero(which).tolist()) or "no label"

    @cached_property
    def _answers(self) -> Evaluation:
        """Each label of each image by itself: not given, or given."""

        def two(probabilities: np.ndarray) -> np.ndarray:
            given = probabilities.ravel()
            return np.stack([1 - given, given], axis=1)

        before = None if self.before is None else two(self.before)
        labels = self.labels.ravel().astype(np.int64)
        return Evaluation(("no", "yes"), labels, two(self.probabilities), self.temperature, before)

    @property
    def calibration(self) -> list[CalibrationBin]:
        """How often labels are right, by confidence."""
        return self._answers.calibration

    @property
    def uncalibrated(self) -> Evaluation | None:
        """The same before calibration, label by label; None without one."""
        return self._answers.uncalibrated

    @property
    def cross_entropy(self) -> float:
        """Mean binary cross-entropy of each label by itself, in nats."""
        return self._answers.cross_entropy

    @property
    def calibration_error(self) -> float:
        """Expected calibration error of each label by itself, 0 to 1."""
        return self._answers.calibration_error

    def summary(self) -> dict[str, Any]:
        """Return the metrics as JSON values, without the predictions."""
        return {
            "images": len(self.labels),
            "accuracy": self.accuracy,
            "interval": list(self.interval),
            "mean_average_precision": self.mean_average_precision,
            "mean_average_precision_interval": self.mean_average_precision_interval,
            **self.calibration_summary(),
            "classes": [asdict(report) for report in self.by_class],
        }


def make_evaluation(
    classes: Sequence[str],
    labels: np.ndarray,
    probabilities: np.ndarray,
    *,
    temperature: float = 1.0,
    before: np.ndarray | None = None,
    thresholds: Sequence[float] = (),
) -> Evaluation:
    """Return the evaluation of predictions of one label an image, or, where labels are rows, of several."""
    if labels.ndim == 1:
        return Evaluation(classes, labels, probabilities, temperature, before)
    return MultiLabelEvaluation(classes, labels, probabilities, temperature, before, thresholds)


def average_precision(labels: np.ndarray, scores: np.ndarray) -> float | None:
    """Return the mean precision at the images that have a label, ranked by their scores, 0 to 1.

    As scikit-learn's: equal scores are one place in the ranking, and nothing is interpolated.

    Args:
        labels: ``(images,)`` bool.
        scores: ``(images,)`` float.

    Returns:
        None where no image has the label.
    """
    if not labels.any():
        return None
    return float(_average_precisions(labels, scores, np.ones((len(labels), 1)))[0])


def mean_average_precision_interval(
    labels: np.ndarray, scores: np.ndarray, *, seed: int = 0
) -> tuple[float, float] | None:
    """Return the 95% bootstrap interval of the mean average precision over classes, 0 to 1.

    Args:
        labels: ``(images, classes)`` bool.
        scores: ``(images, classes)`` float.
        seed: Draws the images of each resampling.

    Returns:
        None where no image has a label.
    """
    measured = np.flatnonzero(labels.any(axis=0)).tolist()
    if not measured:
        return None
    images = len(labels)
    resampled = min(_RESAMPLED, max(_LEAST_RESAMPLED, _MOST_DRAWN // images))
    counts = np.random.default_rng(seed).multinomial(images, np.full(images, 1 / images), resampled).T
    each = np.stack([_average_precisions(labels[:, one], scores[:, one], counts) for one in measured])
    has = np.isfinite(each)  # a resampling may have no image of a class
    means = np.where(has, each, 0).sum(axis=0) / np.maximum(has.sum(axis=0), 1)
    low, high = np.percentile(means[has.any(axis=0)], (2.5, 97.5))
    return float(low), float(high)


def _average_precisions(labels: np.ndarray, scores: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the average precision for each column of how often an image counts; NaN where none has the label."""
    order = np.argsort(-scores, kind="stable")
    has, drawn = labels[order, np.newaxis], counts[order]
    found, ranked = np.cumsum(has * drawn, axis=0), np.cumsum(drawn, axis=0)
    last = np.searchsorted(-scores[order], -scores[order], side="right") - 1  # of equal scores
    precision = found[last] / np.maximum(ranked[last], 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((precision * has * drawn).sum(axis=0) / found[-1])

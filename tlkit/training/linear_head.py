"""Phase 1 without Keras: a linear head by logistic regression on the features of the frozen base."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from tlkit.analysis.logistic_regression import LogisticRegression, fit_logistic_regression
from tlkit.data.layout import TRAIN, VALIDATION
from tlkit.features.spec import FeatureSpec
from tlkit.reporting.metrics import Evaluation
from tlkit.reporting.multi_label import make_evaluation
from tlkit.training.batches import TrainingBatches
from tlkit.training.datasets import SampleRows
from tlkit.training.history import Phase
from tlkit.training.objective import Objective
from tlkit.training.plan import TrainingPlan
from tlkit.training.split_data import SplitData
from tlkit.utils.logging import logger
from tlkit.utils.rows import Rows, blocks, hold


def fit_linear_head(
    plan: TrainingPlan, images: SplitData, data: TrainingBatches, spec: FeatureSpec
) -> tuple[LogisticRegression, Phase]:
    """Fit a linear head, and return it with its history: one epoch.

    Args:
        plan: Class weights, label smoothing, and the seed that draws the folds of the cross-validation.
        images: The splits.
        data: Their features; all augmented variants of an image are used.
        spec: Which of them; one vector an image.

    Raises:
        TrainingError: The features are not finite.
        DataError: An image can no longer be read.
    """
    started = time.perf_counter()
    train = data.samples(TRAIN, spec)
    objective = Objective.for_labels(plan.config, train.labels, len(images.classes))
    rows = SampleRows(train)
    labels = train.labels[rows.samples]
    features = hold((rows[part] for part in blocks(rows)), rows.shape)
    head = fit_logistic_regression(
        features,
        _Expected(objective, labels),
        weights=objective.weights(labels),
        groups=rows.samples,
        seed=plan.config.seed,
        multi_label=objective.multi_label,
    )
    loss, accuracy = _compare(head, features, objective, labels)
    if plan.cross_validation:
        val_loss, val_accuracy = plan.cross_validation.epochs("head")[0].values()
    else:
        validation = data.samples(VALIDATION, spec)
        val_loss, val_accuracy = _compare(head, SampleRows(validation), objective, validation.labels)
    epoch = {"epoch": 1, "loss": loss, "accuracy": accuracy, "val_loss": val_loss, "val_accuracy": val_accuracy}
    logger.info(
        "head: logistic regression with L2 of %.1e: loss %.4f, acc %.3f, val_loss %.4f, val_acc %.3f",
        head.strength, loss, accuracy, val_loss, val_accuracy,
    )  # fmt: skip
    return head, Phase("head", [{**epoch, "seconds": time.perf_counter() - started}])


@dataclass(frozen=True)
class _Expected:
    """The probabilities that are expected of samples, made as they are asked for: a row has one for every class."""

    objective: Objective
    labels: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        return len(self.labels), self.objective.classes

    def __getitem__(self, rows: Any, /) -> np.ndarray:
        return self.objective.expected(self.labels[rows])


def _compare(head: LogisticRegression, features: Rows, objective: Objective, labels: np.ndarray) -> tuple[float, float]:
    """Return loss and accuracy, a block of rows at a time."""
    parts = list(blocks(features, beside=objective.classes))
    found = [objective.compare(head.probabilities(features[rows]), labels[rows]) for rows in parts]
    loss, accuracy = np.average(found, axis=0, weights=[rows.stop - rows.start for rows in parts])
    return float(loss), float(accuracy)


def evaluate_linear_head(
    head: LogisticRegression, images: SplitData, data: TrainingBatches, spec: FeatureSpec, split: str
) -> Evaluation:
    """Compare the predictions of a linear head with the labels of a split."""
    probabilities = head.probabilities(SampleRows(data.samples(split, spec)))
    return make_evaluation(images.classes, images.splits[split].labels, probabilities)

"""Phase 1 without Keras: a linear head by logistic regression on the features of the frozen base."""

from __future__ import annotations

import time

import numpy as np

from tlkit.analysis.logistic_regression import LogisticRegression, fit_logistic_regression
from tlkit.data.layout import TRAIN, VALIDATION
from tlkit.errors import TrainingError
from tlkit.features.spec import FeatureSpec
from tlkit.reporting.metrics import Evaluation
from tlkit.reporting.multi_label import make_evaluation
from tlkit.training.batches import TrainingBatches
from tlkit.training.datasets import load_samples
from tlkit.training.history import Phase
from tlkit.training.objective import Objective
from tlkit.training.plan import TrainingPlan
from tlkit.training.split_data import SplitData
from tlkit.utils.logging import logger


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
    features, samples = load_samples(train)
    labels = train.labels[samples]
    if not np.isfinite(features).all():
        raise TrainingError(
            "Features of the base are not finite.", hint="Check its weights: `tlkit inspect-h5 FILE --stats`."
        )
    head = fit_logistic_regression(
        features,
        objective.expected(labels),
        weights=objective.weights(labels),
        groups=samples,
        seed=plan.config.seed,
        multi_label=objective.multi_label,
    )
    loss, accuracy = objective.compare(head.probabilities(features), labels)
    if plan.cross_validation:
        val_loss, val_accuracy = plan.cross_validation.epochs("head")[0].values()
    else:
        validation = data.samples(VALIDATION, spec)
        probabilities = head.probabilities(load_samples(validation)[0])
        val_loss, val_accuracy = objective.compare(probabilities, validation.labels)
    epoch = {"epoch": 1, "loss": loss, "accuracy": accuracy, "val_loss": val_loss, "val_accuracy": val_accuracy}
    logger.info(
        "head: logistic regression with L2 of %.1e: loss %.4f, acc %.3f, val_loss %.4f, val_acc %.3f",
        head.strength, loss, accuracy, val_loss, val_accuracy,
    )  # fmt: skip
    return head, Phase("head", [{**epoch, "seconds": time.perf_counter() - started}])


def evaluate_linear_head(
    head: LogisticRegression, images: SplitData, data: TrainingBatches, spec: FeatureSpec, split: str
) -> Evaluation:
    """Compare the predictions of a linear head with the labels of a split."""
    probabilities = head.probabilities(load_samples(data.samples(split, spec))[0])
    return make_evaluation(images.classes, images.splits[split].labels, probabilities)

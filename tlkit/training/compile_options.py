"""What ``compile`` and ``fit`` take: loss, class weights, optimizer, learning-rate schedule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tlkit.backend import keras
from tlkit.config import FinetuneConfig
from tlkit.training.plan import PhasePlan


@dataclass(frozen=True)
class Objective:
    """What is minimised in every phase.

    Attributes:
        classes: Number of classes.
        label_smoothing: Share of each label that is spread over all classes, 0 to 1.
        class_weight: Weight of the samples of each class; None for 1.
    """

    classes: int
    label_smoothing: float = 0.0
    class_weight: Mapping[int, float] | None = None

    @classmethod
    def for_labels(cls, config: FinetuneConfig, labels: np.ndarray, classes: int) -> Objective:
        """Return the objective that a config asks for.

        Args:
            config: ``label_smoothing`` and ``class_weight``.
            labels: ``(samples,)`` int64, training labels; every class occurs.
            classes: Number of classes.
        """
        weights = balanced_weights(labels, classes) if config.class_weight == "auto" else None
        return cls(classes, config.label_smoothing, weights)

    @property
    def loss(self) -> Any:
        """Cross-entropy of labels ``(batch,)`` and probabilities ``(batch, classes)``, for ``compile``."""
        if not self.label_smoothing:
            return "sparse_categorical_crossentropy"

        def smoothed_crossentropy(labels: Any, probabilities: Any) -> Any:
            expected = keras.ops.one_hot(keras.ops.reshape(keras.ops.cast(labels, "int32"), (-1,)), self.classes)
            return keras.losses.categorical_crossentropy(expected, probabilities, label_smoothing=self.label_smoothing)

        return smoothed_crossentropy


def balanced_weights(labels: np.ndarray, classes: int) -> dict[int, float]:
    """Return class weights under which every class has the same total weight.

    As scikit-learn's ``balanced``: ``samples / (classes · samples of the class)``.

    Args:
        labels: ``(samples,)`` int64; every class occurs.
        classes: Number of classes.
    """
    counts = np.bincount(labels, minlength=classes)
    return {number: float(len(labels) / (classes * count)) for number, count in enumerate(counts)}


def make_optimizer(plan: PhasePlan, steps: int) -> Any:
    """Return the optimizer of a phase.

    Args:
        plan: The phase.
        steps: Batches per epoch.
    """
    rate: Any = plan.lr
    if plan.schedule == "linear":
        rate = keras.optimizers.schedules.PolynomialDecay(plan.lr, steps * plan.epochs, end_learning_rate=0.0)
    elif plan.schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(plan.lr, steps * plan.epochs)
    if plan.optimizer == "sgd":
        return keras.optimizers.SGD(rate, momentum=plan.momentum)
    kinds = {"rmsprop": keras.optimizers.RMSprop, "adam": keras.optimizers.Adam, "adamw": keras.optimizers.AdamW}
    return kinds[plan.optimizer](rate)

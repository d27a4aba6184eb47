"""What training tries to reach and how it gets there: loss, class weights, optimizers, schedules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tlkit.backend import keras


@dataclass(frozen=True)
class Objective:
    """What is minimised in every phase.

    Attributes:
        classes: How many classes there are.
        label_smoothing: The share of a label that is spread over all classes, 0 to 1.
        class_weight: What a picture of each class counts in training; None for 1.
    """

    classes: int
    label_smoothing: float = 0.0
    class_weight: Mapping[int, float] | None = None

    @property
    def loss(self) -> Any:
        """Cross-entropy of class numbers ``(batch,)`` and probabilities ``(batch, classes)``, for ``compile``."""
        if not self.label_smoothing:
            return "sparse_categorical_crossentropy"

        def smoothed_crossentropy(labels: Any, probabilities: Any) -> Any:
            wanted = keras.ops.one_hot(keras.ops.reshape(keras.ops.cast(labels, "int32"), (-1,)), self.classes)
            return keras.losses.categorical_crossentropy(wanted, probabilities, label_smoothing=self.label_smoothing)

        return smoothed_crossentropy


def balanced_weights(labels: np.ndarray, classes: int) -> dict[int, float]:
    """Weights under which every class counts the same in all: ``pictures / (classes · pictures of the class)``.

    Args:
        labels: ``(pictures,)`` class numbers; every class occurs.
        classes: How many there are.
    """
    counts = np.bincount(labels, minlength=classes)
    return {number: float(len(labels) / (classes * count)) for number, count in enumerate(counts)}


@dataclass(frozen=True, kw_only=True)
class PhasePlan:
    """How one phase trains.

    Attributes:
        name: ``head``, ``finetune``, or ``finetune-2`` and so on for stages.
        epochs: How often every picture is seen, at most.
        optimizer: One of :data:`tlkit.config.OPTIMIZERS`.
        lr: Learning rate at the start.
        schedule: One of :data:`tlkit.config.SCHEDULES`.
        momentum: Of SGD.
        patience: Epochs without a better one after which the phase ends, at its best epoch; None for never.
    """

    name: str
    epochs: int
    optimizer: str
    lr: float
    schedule: str = "constant"
    momentum: float = 0.9
    patience: int | None = None


def make_optimizer(plan: PhasePlan, steps: int) -> Any:
    """The optimizer of a phase.

    Args:
        plan: The phase.
        steps: Batches in an epoch.
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

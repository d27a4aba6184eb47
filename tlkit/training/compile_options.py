"""What ``compile`` and ``fit`` take: loss, optimizer, learning-rate schedule."""

from __future__ import annotations

from typing import Any

from tlkit.backend import keras
from tlkit.training.objective import Objective
from tlkit.training.plan import PhasePlan


def make_loss(objective: Objective) -> Any:
    """Return the cross-entropy of labels ``(batch,)`` and probabilities ``(batch, classes)``, for ``compile``."""
    if not objective.label_smoothing:
        return "sparse_categorical_crossentropy"

    def smoothed_crossentropy(labels: Any, probabilities: Any) -> Any:
        expected = keras.ops.one_hot(keras.ops.reshape(keras.ops.cast(labels, "int32"), (-1,)), objective.classes)
        return keras.losses.categorical_crossentropy(expected, probabilities, label_smoothing=objective.label_smoothing)

    return smoothed_crossentropy


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

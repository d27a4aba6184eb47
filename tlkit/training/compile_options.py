"""What ``compile`` takes: the loss, and the optimizer with its rates by step and by layer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from tlkit.backend import keras
from tlkit.keras_private import variable_index
from tlkit.training.objective import Objective
from tlkit.training.plan import PhasePlan

_NOT_DECAYED = ["bias", "gamma", "beta"]
_LONGEST_EMA = 0.999


def make_loss(objective: Objective, *, mixes: bool = False) -> Any:
    """Return the cross-entropy of labels and probabilities ``(batch, classes)``, for ``compile``.

    Args:
        objective: What is minimised.
        mixes: Labels are ``(batch, classes)`` probabilities, as those of several labels always are; otherwise
            ``(batch,)`` numbers of classes.
    """
    if objective.multi_label:
        return keras.losses.BinaryCrossentropy(label_smoothing=objective.label_smoothing)
    if mixes:
        return keras.losses.CategoricalCrossentropy(label_smoothing=objective.label_smoothing)
    if not objective.label_smoothing:
        return "sparse_categorical_crossentropy"

    def smoothed_crossentropy(labels: Any, probabilities: Any) -> Any:
        expected = keras.ops.one_hot(keras.ops.reshape(keras.ops.cast(labels, "int32"), (-1,)), objective.classes)
        return keras.losses.categorical_crossentropy(expected, probabilities, label_smoothing=objective.label_smoothing)

    return smoothed_crossentropy


def make_accuracy(objective: Objective) -> Any:
    """Return the accuracy, for ``compile``: of several labels, the share of images that have all of them right."""
    if not objective.multi_label:
        return "accuracy"

    def accuracy(labels: Any, probabilities: Any) -> Any:
        right = keras.ops.equal(keras.ops.cast(labels, "float32") >= 0.5, probabilities >= 0.5)
        return keras.ops.cast(keras.ops.all(right, axis=-1), "float32")

    return accuracy


MEAN_LOSS, WEIGHTED_LOSS = "mean_loss", "weighted_loss"


def make_shared_metrics(objective: Objective, *, mixes: bool = False) -> list[Any]:
    """Return ``weighted_metrics`` for shares of batches, in whose means samples of weight 0 do not count.

    Keras's own loss of an epoch weights a batch as it is filled up; :data:`MEAN_LOSS` is a mean over samples, and with
    class weights, which only training has, :data:`WEIGHTED_LOSS` is one with them.

    Args:
        objective: What is minimised.
        mixes: As for :func:`make_loss`.
    """

    class MeanOfReal(keras.metrics.MeanMetricWrapper):
        def update_state(self, labels: Any, probabilities: Any, sample_weight: Any = None) -> Any:
            return super().update_state(labels, probabilities, keras.ops.cast(sample_weight > 0, "float32"))

    made = keras.losses.get(make_loss(objective, mixes=mixes))
    loss = made.call if isinstance(made, keras.losses.Loss) else made

    def weighted_loss(labels: Any, probabilities: Any) -> Any:
        classes = keras.ops.argmax(labels, -1) if mixes else keras.ops.reshape(keras.ops.cast(labels, "int32"), (-1,))
        of_class = objective.weights(np.arange(objective.classes))
        return loss(labels, probabilities) * keras.ops.take(of_class, classes)

    accuracy: Any = make_accuracy(objective)
    if accuracy == "accuracy":
        accuracy = keras.metrics.categorical_accuracy if mixes else keras.metrics.sparse_categorical_accuracy
    metrics = [MeanOfReal(accuracy, name="accuracy"), MeanOfReal(loss, name=MEAN_LOSS)]
    if objective.class_weight:
        metrics.append(MeanOfReal(weighted_loss, name=WEIGHTED_LOSS))
    return metrics


def make_optimizer(plan: PhasePlan, steps: int, factors: Mapping[str, float] | None = None) -> Any:
    """Return the optimizer of a phase.

    Args:
        plan: The phase.
        steps: Batches per epoch.
        factors: Of the learning rate of variables, by their ``path``; 1 for the others.
    """
    kinds = {
        "sgd": keras.optimizers.SGD, "rmsprop": keras.optimizers.RMSprop,
        "adam": keras.optimizers.Adam, "adamw": keras.optimizers.AdamW,
    }  # fmt: skip
    options: dict[str, Any] = {"momentum": plan.momentum, "nesterov": plan.nesterov} if plan.optimizer == "sgd" else {}
    if plan.weight_decay is not None:
        options["weight_decay"] = plan.weight_decay
    if plan.clip_norm is not None:
        options["global_clipnorm"] = plan.clip_norm
    if plan.ema:
        options |= {"use_ema": True, "ema_momentum": ema_momentum(steps * plan.epochs)}
    kind = kinds[plan.optimizer]
    optimizer = (_with_factors(kind, factors) if factors else kind)(_rate(plan, steps), **options)
    if plan.weight_decay is not None:
        optimizer.exclude_from_weight_decay(var_names=_NOT_DECAYED)
    return optimizer


def ema_momentum(steps: int) -> float:
    """Return the momentum of an average over a tenth of the batches of a phase, at most a thousand."""
    return min(_LONGEST_EMA, max(0.5, 1 - 10 / steps))


def _rate(plan: PhasePlan, steps: int) -> Any:
    schedules = keras.optimizers.schedules
    # rounded down: of one batch an epoch, a part of an epoch must not take the last step
    warm = math.floor(plan.warmup_epochs * steps)
    left = steps * plan.epochs - warm
    assert plan.lr is not None  # a range test has found it
    rate: Any = plan.lr
    if plan.schedule == "linear":
        rate = schedules.PolynomialDecay(plan.lr, left, end_learning_rate=0.0)
    elif plan.schedule == "cosine":
        rate = schedules.CosineDecay(plan.lr, left)
    return _warmed_up(plan.lr, rate, warm) if warm else rate


def _warmed_up(peak: float, rate: Any, steps: int) -> Any:
    """Return a schedule that rises to ``peak`` in a number of steps, and goes on with a rate or schedule."""

    class Warmup(keras.optimizers.schedules.LearningRateSchedule):
        def __call__(self, step: Any) -> Any:
            step = keras.ops.cast(step, "float32")
            after = rate(keras.ops.maximum(step - steps, 0)) if callable(rate) else rate
            return keras.ops.where(step < steps, peak * (step + 1) / steps, after)

    return Warmup()


def _with_factors(kind: Any, factors: Mapping[str, float]) -> Any:
    """Return a kind of optimizer that multiplies the learning rate of each variable by its factor."""

    class WithFactors(kind):
        def build(self, variables: Any) -> None:
            self._factors = [factors.get(variable.path, 1.0) for variable in variables]
            super().build(variables)

        def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
            factor = self._factors[variable_index(self, variable)]  # TensorFlow's own variable, which has no path
            super().update_step(gradient, variable, learning_rate * factor)

    return WithFactors

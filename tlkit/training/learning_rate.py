"""The learning rate from the data: a range test on the first batches of a phase."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tlkit.errors import TrainingError
from tlkit.training.batch_sequence import BatchSequence
from tlkit.training.model import training_undone
from tlkit.utils.interrupt import raise_if_interrupted
from tlkit.utils.logging import progress_bar

LOWEST, HIGHEST, STEPS = 1e-6, 10.0, 70
"""Rates that are tried, one a batch: ten of each power of ten."""

_WINDOW = 5
"""Batches that a smoothed loss averages over."""
_DIVERGED = 4.0
"""Times the least loss, and the test ends."""
_RISE, _NOISE = 0.1, 4.0
"""A rise is more than this share of the loss at the start, and this many times the difference between batches."""
_MARGIN = 10.0
"""How far below the rate at which the loss is least the suggested one is."""


@dataclass(frozen=True)
class RangeTest:
    """What a loss does while the learning rate rises.

    Attributes:
        rates: The learning rate of each batch.
        losses: The loss of each batch, before its step.
        suggested: The rate to train with.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    suggested: float


def range_test(model: Any, train: BatchSequence, class_weight: Any, option: str) -> RangeTest:
    """Train on a few batches while the learning rate rises, undo it, and suggest a rate.

    Source: Smith, Cyclical Learning Rates (2017).

    Args:
        model: A compiled ``keras.Model`` whose learning rate is no schedule; its variables and those of its optimizer
            are as before afterwards.
        train: Training batches.
        class_weight: As for ``fit``.
        option: The option that sets the rate, for messages.

    Raises:
        TrainingError: The losses say nothing.
    """
    rates, losses = np.geomspace(LOWEST, HIGHEST, STEPS).tolist(), []
    train.epoch = 0
    with training_undone(model), progress_bar(total=STEPS, unit="batch", description="learning rate") as bar:
        for step, rate in enumerate(rates):
            raise_if_interrupted()
            model.optimizer.learning_rate = rate
            inputs, labels = train[step % len(train)]
            losses.append(float(model.train_on_batch(inputs, labels, class_weight=class_weight)[0]))
            bar.update(1)
            if not math.isfinite(losses[-1]) or losses[-1] > _DIVERGED * max(min(losses), losses[0]):
                break
    tried = rates[: len(losses)]
    return RangeTest(tuple(tried), tuple(losses), suggest_rate(tried, losses, option))


def suggest_rate(rates: Sequence[float], losses: Sequence[float], option: str) -> float:
    """Return a rate well below the one from which on the loss rises; where it falls before, from its least.

    Args:
        rates: Rising.
        losses: Of a batch at each; the last may not be finite.
        option: The option that sets the rate, for messages.

    Raises:
        TrainingError: The losses say nothing.
    """
    known = np.array([loss for loss in losses if math.isfinite(loss)])
    if len(known) < 2 * _WINDOW:
        raise TrainingError(
            f"{option} auto: the loss is {losses[-1]:g} from a rate of {rates[max(len(known) - 1, 0)]:.0e} on.",
            hint=f"Check the images and weights, or give {option} a number.",
        )
    smooth = _smoothed(known)
    noise = float(np.median(np.abs(np.diff(known[: len(known) // 2]))))
    threshold = max(_RISE * smooth[0], _NOISE * noise)
    lowest = np.minimum.accumulate(smooth)
    risen = np.flatnonzero(smooth > lowest + threshold)
    ended = len(known) < len(rates) or len(rates) < STEPS  # not finite, or many times what it was
    if not len(risen) and not ended and smooth.min() > smooth[0] - threshold:
        raise TrainingError(
            f"{option} auto: the loss stays about {smooth[0]:.2g} at any rate up to {rates[-1]:g}; batches differ by "
            f"{noise:.2g}.",
            hint=f"Give {option} a number.",
        )
    until = int(risen[0]) if len(risen) else len(known)
    floor = smooth[:until].min()
    best = int(np.flatnonzero(smooth[:until] <= floor + threshold / 2)[-1])
    return float(f"{rates[best] / _MARGIN:.1e}")


def _smoothed(losses: np.ndarray) -> np.ndarray:
    """Return the mean of each loss and its neighbours."""
    padded = np.pad(losses, _WINDOW // 2, mode="edge")
    return np.asarray(np.convolve(padded, np.full(_WINDOW, 1 / _WINDOW), mode="valid"))

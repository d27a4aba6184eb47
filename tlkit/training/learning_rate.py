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
_LEARNED = 0.1
"""Loss, in nats, of images that are learned: that it does not fall says nothing there, and batches differ by more."""
_PROOF, _PROOF_BATCHES = 24, 6
"""Steps that a suggested rate has to train without harm, and the batches that they go through."""
_LOWERED, _HARM = math.sqrt(10), 0.05
"""By what a rate is divided where that times it does harm; and the loss, in nats, by which it may rise all the same."""


@dataclass(frozen=True)
class RangeTest:
    """What a loss does while the learning rate rises.

    Attributes:
        rates: The learning rate of each batch.
        losses: The loss of each batch, before its step.
        suggested: The rate to train with: three times it did no harm in a few steps.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    suggested: float


def range_test(model: Any, train: BatchSequence, class_weight: Any, option: str) -> RangeTest:
    """Train on a few batches while the learning rate rises, undo it, and suggest a rate that does no harm.

    Source: Smith, Cyclical Learning Rates (2017). Of few images the test learns all while the rate rises, and then no
    rate does harm until it is far too high: so the suggested one is tried from the weights that training starts with,
    and lowered until the loss does not rise at three times the rate either.

    Args:
        model: A compiled ``keras.Model`` whose learning rate is no schedule; its variables and those of its optimizer
            are as before afterwards.
        train: Training batches.
        class_weight: As for ``fit``.
        option: The option that sets the rate, for messages.

    Raises:
        TrainingError: The losses say nothing, or every rate does harm.
    """
    rates, losses = np.geomspace(LOWEST, HIGHEST, STEPS).tolist(), []
    train.epoch = 0
    with training_undone(model), progress_bar(total=STEPS, unit="batch", description="learning rate") as bar:
        for step, rate in enumerate(rates):
            raise_if_interrupted()
            model.optimizer.learning_rate = rate
            losses.append(float(model.train_on_batch(*train[step % len(train)], class_weight=class_weight)[0]))
            bar.update(1)
            if not math.isfinite(losses[-1]) or losses[-1] > _DIVERGED * max(min(losses), losses[0], _LEARNED):
                break
    tried = rates[: len(losses)]
    suggested = suggest_rate(tried, losses, option)
    batches = [train[number] for number in range(min(_PROOF_BATCHES, len(train)))]
    while not _does_no_harm(model, batches, _LOWERED * suggested, class_weight):
        suggested = float(f"{suggested / _LOWERED:.1e}")
        if suggested < LOWEST:
            raise TrainingError(
                f"{option} auto: the loss rises in {_PROOF} steps at any rate down to {LOWEST:g}.",
                hint=f"Give {option} a number, or train the head for longer or with another optimizer.",
            )
    return RangeTest(tuple(tried), tuple(losses), suggested)


def _does_no_harm(model: Any, batches: Sequence[Any], rate: float, class_weight: Any) -> bool:
    """Train for a few steps at a rate, undo it, and return whether the loss of these batches did not rise."""

    def loss() -> float:
        return float(np.mean([model.test_on_batch(*batch)[0] for batch in batches]))

    with training_undone(model):
        before = loss()
        most = max((1 + _RISE) * before, before + _HARM)
        model.optimizer.learning_rate = rate
        for step in range(_PROOF):
            raise_if_interrupted()
            model.train_on_batch(*batches[step % len(batches)], class_weight=class_weight)
            # a rate that is too high may also collapse the network first, and then train it again
            if (step + 1) % _PROOF_BATCHES == 0 and not loss() <= most:
                return False
    return True


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
    if not len(risen) and not ended and smooth[0] > _LEARNED and smooth.min() > smooth[0] - threshold:
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

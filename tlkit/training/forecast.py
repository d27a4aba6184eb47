"""How long an epoch will take, before it starts."""

from __future__ import annotations

import time
from typing import Any

from tlkit.backend import keras
from tlkit.training.batch_sequence import BatchSequence
from tlkit.training.model import training_undone
from tlkit.utils.logging import logger
from tlkit.utils.text import pluralize

_STEPS = 3
_LEAST = 10
"""Batches of an epoch from which on it is worth to know."""


def report_epoch_time(model: Any, train: BatchSequence, validation: BatchSequence | None, class_weight: Any) -> None:
    """Report how long an epoch will take: train on a few batches, and undo it.

    The first of them is compiled, for the epochs too.

    Args:
        model: A compiled ``keras.Model``; its variables and those of its optimizer are as before afterwards.
        train: Training batches.
        validation: Validation batches; None for none.
        class_weight: As for ``fit``.
    """
    if len(train) < _LEAST:
        return
    clock = _Clock()
    tests = 0 if validation is None else len(validation)
    some = None if validation is None else _First(validation, min(_STEPS, tests))
    with training_undone(model):
        model.fit(
            _First(train, _STEPS), validation_data=some, epochs=1, shuffle=False, verbose=0,
            class_weight=class_weight, callbacks=[clock],
        )  # fmt: skip
    seconds = len(train) * clock.seconds_a_batch("train") + tests * clock.seconds_a_batch("test")
    logger.info("An epoch takes about %s (%s).", _rounded(seconds), pluralize(len(train), "batch", "batches"))


def _rounded(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s" if seconds >= 1 else "a second"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


class _First(keras.utils.PyDataset):
    """The first batches of others."""

    def __init__(self, batches: BatchSequence, number: int) -> None:
        super().__init__(workers=1, use_multiprocessing=False)
        self._batches, self._number = batches, number

    def __len__(self) -> int:
        return self._number

    def __getitem__(self, index: int) -> Any:
        return self._batches[index]


class _Clock(keras.callbacks.Callback):
    """Notes when batches end."""

    def __init__(self) -> None:
        super().__init__()
        self._ends: dict[str, list[float]] = {"train": [], "test": []}

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._ends["train"].append(time.perf_counter())

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        self._ends["test"].append(time.perf_counter())

    def seconds_a_batch(self, kind: str) -> float:
        """Return the time of a batch after the first, which is compiled."""
        ends = self._ends[kind]
        return (ends[-1] - ends[0]) / (len(ends) - 1) if len(ends) > 1 else 0.0

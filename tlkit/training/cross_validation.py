"""What the runs of all folds tell of the run on all images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from tlkit.reporting.metrics import Evaluation, wilson_interval
from tlkit.reporting.multi_label import make_evaluation
from tlkit.training.history import merit


@dataclass(frozen=True)
class Fold:
    """The run that was validated on one fold and trained on the others.

    Attributes:
        run: Its folder.
        files: Paths of the images of the fold.
        labels: The class of each, an index; or which of the classes it has.
        probabilities: ``(images, classes)``, 0 to 1, before calibration.
        val_accuracy: Share of them that is classified right, 0 to 1.
        phases: Loss and accuracy on them, ``val_loss`` and ``val_accuracy``, after each epoch of each phase.
        chosen: They also chose the epoch whose weights the run keeps.
        skipped: ``(path, reason)`` of images of any fold that could not be read.
    """

    run: Path
    files: Sequence[str]
    labels: Sequence[int] | Sequence[Sequence[bool]]
    probabilities: Sequence[Sequence[float]]
    val_accuracy: float
    phases: Mapping[str, Sequence[Mapping[str, float]]]
    chosen: bool
    skipped: Sequence[tuple[str, str]]

    @property
    def interval(self) -> tuple[float, float]:
        """95% confidence interval of the accuracy, 0 to 1."""
        return wilson_interval(self.val_accuracy, len(self.files))

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON values of the fold."""
        return {
            "run": str(self.run),
            "images": len(self.files),
            "val_accuracy": self.val_accuracy,
            "interval": list(self.interval),
        }


@dataclass(frozen=True)
class CrossValidation:
    """The runs of all folds: they validate the run on all images.

    Attributes:
        folds: At least two, in order.
    """

    folds: tuple[Fold, ...]

    @property
    def chosen(self) -> bool:
        """True if the images of a fold also chose among the epochs of its run."""
        return any(fold.chosen for fold in self.folds)

    @cached_property
    def files(self) -> tuple[str, ...]:
        """Paths of all images, fold by fold."""
        return tuple(file for fold in self.folds for file in fold.files)

    def evaluation(self, classes: Sequence[str]) -> Evaluation:
        """Return the prediction of each image by the run that was not trained on it."""
        return make_evaluation(
            tuple(classes),
            np.concatenate([np.array(fold.labels) for fold in self.folds]),
            np.concatenate([np.array(fold.probabilities, np.float32) for fold in self.folds]),
        )

    def to_list(self) -> list[dict[str, Any]]:
        """Return the JSON values of the folds."""
        return [fold.to_dict() for fold in self.folds]

    def epochs(self, phase: str) -> list[dict[str, float]]:
        """Return the mean ``val_loss`` and ``val_accuracy`` of each epoch of a phase, over all images.

        A run that stopped early, and restored its best epoch, stands at that one afterwards.
        """
        histories = [list(fold.phases[phase]) for fold in self.folds]
        longest = max(map(len, histories))
        padded = [history + [max(history, key=merit)] * (longest - len(history)) for history in histories]
        images = [len(fold.files) for fold in self.folds]
        return [
            {
                key: float(np.average([epoch[key] for epoch in epochs], weights=images))
                for key in ("val_loss", "val_accuracy")
            }
            for epochs in zip(*padded, strict=True)
        ]

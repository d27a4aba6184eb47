"""The training history of a run, phase by phase and epoch by epoch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

CHECKPOINT = "checkpoint.npz"
"""File of a run folder that holds the state of an unfinished training."""


@dataclass
class Phase:
    """The history of one phase.

    Attributes:
        name: ``head``, ``finetune``, or ``finetune-2`` and so on for stages.
        epochs: One mapping per epoch: ``epoch``, ``loss``, ``accuracy``, ``val_loss``, ``val_accuracy``,
            ``seconds``.
        best: The epoch whose weights were restored, counted from 1; None for the last.
    """

    name: str
    epochs: list[Mapping[str, float]] = field(default_factory=list)
    best: int | None = None

    @property
    def seconds(self) -> float:
        """Total time of all epochs, in seconds."""
        return sum(epoch["seconds"] for epoch in self.epochs)

    @property
    def val_accuracy(self) -> float:
        """Validation accuracy of the resulting weights, 0 to 1."""
        return self.epochs[(self.best or len(self.epochs)) - 1]["val_accuracy"]

    def summary(self) -> dict[str, Any]:
        """Return ``name``, ``epochs``, ``best_epoch``, ``seconds`` and ``val_accuracy``."""
        return {
            "name": self.name,
            "epochs": len(self.epochs),
            "best_epoch": self.best or len(self.epochs),
            "seconds": round(self.seconds, 3),
            "val_accuracy": self.val_accuracy,
        }

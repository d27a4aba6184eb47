"""What the phases of a training came to, epoch by epoch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

CHECKPOINT = "checkpoint.npz"
"""The file in a run folder that holds where its training stands."""


@dataclass
class Phase:
    """What one phase did.

    Attributes:
        name: ``head``, ``finetune``, or ``finetune-2`` and so on for stages.
        epochs: One mapping an epoch: ``epoch``, ``loss``, ``accuracy``, ``val_loss``, ``val_accuracy``,
            ``seconds``.
        best: The epoch whose weights are kept, counted from 1; None for the last.
    """

    name: str
    epochs: list[Mapping[str, float]] = field(default_factory=list)
    best: int | None = None

    @property
    def seconds(self) -> float:
        """Time of all epochs together."""
        return sum(epoch["seconds"] for epoch in self.epochs)

    @property
    def val_accuracy(self) -> float:
        """Validation accuracy of the weights that are kept, 0 to 1."""
        return self.epochs[(self.best or len(self.epochs)) - 1]["val_accuracy"]

    def summary(self) -> dict[str, Any]:
        """What a result says of the phase: ``name``, ``epochs``, ``best``, ``seconds``, ``val_accuracy``."""
        return {
            "name": self.name,
            "epochs": len(self.epochs),
            "best_epoch": self.best or len(self.epochs),
            "seconds": round(self.seconds, 3),
            "val_accuracy": self.val_accuracy,
        }

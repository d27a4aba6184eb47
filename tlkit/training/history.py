"""The training history of a run, phase by phase and epoch by epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tlkit.reporting.metrics import wilson_interval

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
        lr: The learning rate at its highest; None where the optimizer has none.
    """

    name: str
    epochs: list[Mapping[str, float]] = field(default_factory=list)
    best: int | None = None
    lr: float | None = None

    @property
    def seconds(self) -> float:
        """Total time of all epochs, in seconds."""
        return sum(epoch["seconds"] for epoch in self.epochs)

    @property
    def val_accuracy(self) -> float:
        """Validation accuracy of the resulting weights, 0 to 1."""
        return self.epochs[(self.best or len(self.epochs)) - 1]["val_accuracy"]

    @property
    def is_fine_tuning(self) -> bool:
        """True for phase 2 and its stages."""
        return self.name != "head"

    def summary(self, images: int) -> dict[str, Any]:
        """Return ``name``, ``epochs``, ``best_epoch``, ``learning_rate``, ``seconds``, ``val_accuracy``, ``interval``.

        Args:
            images: Number of validation images.
        """
        return {
            "name": self.name,
            "epochs": len(self.epochs),
            "best_epoch": self.best or len(self.epochs),
            "learning_rate": self.lr,
            "seconds": round(self.seconds, 3),
            "val_accuracy": self.val_accuracy,
            "interval": list(wilson_interval(self.val_accuracy, images)),
        }


OVERFITTED = 0.15
"""By how much accuracy on training images exceeds that on validation images where more than the head should train."""


def merit(epoch: Mapping[str, float]) -> tuple[float, float]:
    """Rank epochs by validation accuracy, then by a lower validation loss."""
    return epoch["val_accuracy"], -epoch["val_loss"]


def best_epoch(phases: Sequence[Phase]) -> tuple[Phase, int]:
    """Return the best epoch of all phases, the first of equals: its phase, and its number from 1.

    Args:
        phases: At least one has an epoch.
    """
    epochs = [(phase, number) for phase in phases for number in range(1, len(phase.epochs) + 1)]
    return max(epochs, key=lambda found: merit(found[0].epochs[found[1] - 1]))


@dataclass(frozen=True)
class Outcome:
    """What fine-tuning made of the head that phase 1 trained.

    Attributes:
        kept: ``head`` or ``finetune``: which phase the weights of the run are of.
        head: Validation accuracy of the head alone, 0 to 1; None without phase 1.
        fine_tuned: Validation accuracy after phase 2; None without it.
        last: Validation accuracy of the last epoch.
        chosen: Validation images chose among several epochs.
    """

    kept: str
    head: float | None
    fine_tuned: float | None
    last: float
    chosen: bool

    @classmethod
    def of(cls, phases: Sequence[Phase], *, keeps_best: bool) -> Outcome:
        """Compare the phases of a run.

        Args:
            phases: In order; at least one has an epoch.
            keeps_best: The run keeps its best epoch; otherwise its last.
        """

        def accuracy(part: Sequence[Phase]) -> float | None:
            if not part:
                return None
            phase, epoch = best_epoch(part) if keeps_best else (part[-1], part[-1].best or len(part[-1].epochs))
            return phase.epochs[epoch - 1]["val_accuracy"]

        tuned = [phase for phase in phases if phase.is_fine_tuning]
        kept = best_epoch(phases)[0] if keeps_best else phases[-1]
        return cls(
            "finetune" if kept.is_fine_tuning else "head",
            accuracy([phase for phase in phases if not phase.is_fine_tuning]),
            accuracy(tuned),
            phases[-1].epochs[-1]["val_accuracy"],
            (keeps_best and sum(len(phase.epochs) for phase in phases) > 1)
            or any(phase.best is not None for phase in phases),
        )

    @property
    def line(self) -> str | None:
        """What phase 2 changed, as one line; None without both phases."""
        if self.head is None or self.fine_tuned is None:
            return None
        if self.kept == "head":
            return (
                f"Fine-tuning did not help: the head of phase 1 is kept ({self.head:.3f}, and {self.fine_tuned:.3f} at "
                "best after it)."
            )
        which = " at the best epochs" if self.chosen else ""
        return f"Fine-tuning: {self.head:.3f} → {self.fine_tuned:.3f}{which}."

    def collapse(self, chance: float) -> str | None:
        """Return a warning where phase 2 lost more than half of what the head had above chance; else None.

        Args:
            chance: Accuracy of a guess, 0 to 1.
        """
        if self.head is None or self.fine_tuned is None or self.last >= self.head:
            return None
        if self.last - chance >= (self.head - chance) / 2:
            return None
        return (
            f"Phase 2 collapsed: validation accuracy fell from {self.head:.3f} to {self.last:.3f}. Try a lower "
            "--finetune-lr, or --freeze a later layer."
        )

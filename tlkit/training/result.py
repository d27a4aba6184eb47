"""The result of ``finetune``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tlkit.reporting.metrics import Evaluation
from tlkit.training.cross_validation import CrossValidation
from tlkit.training.freeze import FreezePoint
from tlkit.training.history import OVERFITTED, Outcome, Phase


@dataclass(frozen=True)
class FinetuneResult:
    """A finished run.

    Attributes:
        run: The run folder.
        architecture: Name of the base.
        classes: Class names; the position is the label.
        images: Number of images used, by split.
        freeze_point: Where the base was cut, in the last stage of phase 2.
        trained: Layers of the base that trained in phase 2.
        phases: The phases that ran.
        outcome: What phase 2 made of the head, and which of them the run keeps.
        recipe: The recipe that its options started from.
        temperature: Fitted on validation: it divides the logits; 1 where that did not help.
        cross_validation: The runs on folds of the images, whose predictions are the evaluation on ``validation``; None
            where there was a validation split.
        thresholds: The probability of each class from which on it is given, where images may have several labels; else
            empty.
        evaluations: Evaluation on ``validation`` and, where there is one, ``test``: the trained part in float32, on
            frozen features of the chosen precision. Epochs in bfloat16 may report slightly other numbers.
        skipped: ``(path, reason)`` of images that could not be read.
        left_out: Number of files in class folders that are no images, by the end of their names.
        warnings: What to know before trusting it.
    """

    run: Path
    architecture: str
    classes: tuple[str, ...]
    images: Mapping[str, int]
    freeze_point: FreezePoint
    trained: tuple[str, ...]
    phases: tuple[Phase, ...]
    outcome: Outcome
    recipe: str
    temperature: float
    thresholds: tuple[float, ...]
    evaluations: Mapping[str, Evaluation]
    cross_validation: CrossValidation | None
    skipped: tuple[tuple[str, str], ...]
    left_out: Mapping[str, int]
    warnings: tuple[str, ...]

    @property
    def val_accuracy(self) -> float:
        """Validation accuracy of the saved model, 0 to 1."""
        return self.evaluations["validation"].accuracy

    @property
    def test_accuracy(self) -> float | None:
        """Test accuracy of the saved model, 0 to 1; None without a test split."""
        return self.evaluations["test"].accuracy if "test" in self.evaluations else None

    @property
    def chosen_on_validation(self) -> bool:
        """True if the validation images also chose among several epochs: their accuracy is optimistic."""
        return self.outcome.chosen or bool(self.cross_validation and self.cross_validation.chosen)

    @property
    def phase_summaries(self) -> list[dict[str, Any]]:
        """The phases as JSON values."""
        return [phase.summary(len(self.evaluations["validation"].labels)) for phase in self.phases]

    @property
    def suggestion(self) -> str | None:
        """What to try next, in a line; None where nothing suggests itself."""
        learned = self.phases[-1].epochs[-1]["accuracy"]
        if self.recipe != "classic" or learned - self.val_accuracy < OVERFITTED:
            return None
        return (
            f"Accuracy on the training images ended at {learned:.3f}, far above that on validation images. "
            "`--recipe strong` trains the base itself."
        )

    @property
    def freeze(self) -> dict[str, Any]:
        """The freeze point as JSON values: ``layers`` frozen of ``total``, ``through`` which layer, ``notes``."""
        point = self.freeze_point
        return {
            "layers": point.frozen, "total": point.total, "through": point.last_frozen_layer,
            "notes": list(point.notes),
        }  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON document of ``tlkit finetune --format json``."""
        return {
            "run": str(self.run),
            "architecture": self.architecture,
            "classes": list(self.classes),
            "val_accuracy": self.val_accuracy,
            "interval": list(self.evaluations["validation"].interval),
            "test_accuracy": self.test_accuracy,
            "phases": self.phase_summaries,
            "recipe": self.recipe,
            "kept": self.outcome.kept,
            "temperature": self.temperature,
            **({"thresholds": list(self.thresholds)} if self.thresholds else {}),
            "chosen_on_validation": self.chosen_on_validation,
            **({"folds": self.cross_validation.to_list()} if self.cross_validation else {}),
            **{split: evaluation.summary() for split, evaluation in self.evaluations.items()},
            "freeze": self.freeze,
            "trained": list(self.trained),
            "images": dict(self.images),
            "skipped": [{"input": path, "error": reason} for path, reason in self.skipped],
            "left_out": dict(self.left_out),
            "warnings": list(self.warnings),
        }

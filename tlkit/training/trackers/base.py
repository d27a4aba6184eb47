"""What a tracker is told, and what every tracker does with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from tlkit.data.preprocessor import Preprocessor
from tlkit.reporting.multi_label import MultiLabelEvaluation
from tlkit.reporting.page import Section
from tlkit.training.result import FinetuneResult
from tlkit.utils.text import escape_control_chars, shorten

Status = Literal["FINISHED", "FAILED", "KILLED"]
"""How a training ended, in MLflow's words."""
_LONGEST = 200
"""Characters of a message of another package: those of requests have a thousand."""


@dataclass(frozen=True)
class Finished:
    """A run that was trained and saved.

    Attributes:
        result: The run.
        sections: Metrics of each split with their plots; empty where they could not be drawn.
        preprocessor: Draws the thumbnails.
    """

    result: FinetuneResult
    sections: Sequence[Section]
    preprocessor: Preprocessor

    @property
    def epochs(self) -> int:
        """Number of epochs of all phases: the step of what belongs to the whole run."""
        return sum(len(phase.epochs) for phase in self.result.phases)

    def metrics(self) -> Iterator[tuple[str, float]]:
        """Yield the metrics of the saved model on each split: ``validation/accuracy`` and so on."""
        for split, found in self.result.evaluations.items():
            yield f"{split}/accuracy", found.accuracy
            yield f"{split}/cross_entropy", found.cross_entropy
            yield f"{split}/calibration_error", found.calibration_error
            if isinstance(found, MultiLabelEvaluation) and found.mean_average_precision is not None:
                yield f"{split}/mean_average_precision", found.mean_average_precision


class Tracker(Protocol):
    """Something that is told how a training goes. Any of its methods may raise: the training goes on without it."""

    @property
    def name(self) -> str:
        """What it is called, for messages."""

    @property
    def keeps_files(self) -> bool:
        """Whether it has a place for files."""

    @property
    def state(self) -> dict[str, str]:
        """What it takes to continue after an interruption."""

    def epoch(self, phase: str, step: int, values: Mapping[str, float]) -> None:
        """Write the metrics of an epoch, unless they are there already.

        Args:
            phase: ``head``, ``finetune``, or ``finetune-2`` and so on.
            step: Number of the epoch, counted from 1 through all phases.
            values: ``loss``, ``accuracy``, ``val_loss``, ``val_accuracy`` and, where there is one, ``learning_rate``.
        """

    def finish(self, finished: Finished) -> None:
        """Write what is known at the end."""

    def keep_files(self, folder: Path, name: str) -> None:
        """Keep the files of a folder below a name; called where it has a place for them."""

    def close(self, status: Status) -> None:
        """End the record of the run."""


def first_line(error: Exception) -> str:
    """Return what an error of another package says, in a line, without a password and a full stop."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return shorten(escape_control_chars(lines[0]), _LONGEST).rstrip(".:")

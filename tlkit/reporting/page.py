"""Report page of a run or an evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tlkit.data.preprocessor import Preprocessor
from tlkit.reporting.html import write_html
from tlkit.reporting.metrics import Evaluation, format_accuracy
from tlkit.reporting.plots import draw_calibration, draw_confusion, draw_history

MAX_ERRORS = 24
"""Most errors of a split to show."""


@dataclass(frozen=True)
class Section:
    """Metrics of one split, with their plots.

    Attributes:
        split: Its name.
        evaluation: The metrics.
        files: Paths of the files, in the order of the evaluation.
        confusion: Confusion matrix, PNG; empty where an image may have several labels.
        calibration: Reliability diagram, PNG.
        folds: Number of folds, each predicted by a run that was not trained on it; 0 for one model.
        chosen: Its images also chose the epoch whose weights are kept.
        heat: PNG of where an image shows the class that was predicted, by its position.
    """

    split: str
    evaluation: Evaluation
    files: Sequence[str]
    confusion: bytes
    calibration: bytes
    folds: int = 0
    chosen: bool = False
    heat: Mapping[int, bytes] = field(default_factory=dict)

    @property
    def multi_label(self) -> bool:
        """An image may have several labels."""
        return self.evaluation.labels.ndim == 2

    @property
    def title(self) -> str:
        """The heading of the section."""
        if self.folds:
            return f"Validation in {self.folds} folds"
        return "Evaluation" if self.split == "all" else f"{self.split.capitalize()} split"


def draw_section(
    split: str,
    evaluation: Evaluation,
    files: Sequence[str],
    *,
    folds: int = 0,
    chosen: bool = False,
    heat: Mapping[int, bytes] | None = None,
) -> Section:
    """Draw the plots of one split; the arguments are attributes of :class:`Section`."""
    plots = b"" if evaluation.labels.ndim == 2 else draw_confusion(evaluation), draw_calibration(evaluation)
    return Section(split, evaluation, files, *plots, folds, chosen, heat or {})


@dataclass(frozen=True, kw_only=True)
class Page:
    """Contents of a report page.

    Attributes:
        title: What it reports on.
        preprocessor: Of the model; it also draws the thumbnails.
        highlights: ``(name, value)`` of the most important results, in order.
        sections: Metrics by split.
        history: Epochs of each phase to draw, as for :func:`tlkit.reporting.plots.draw_history`.
        phases: Summary of each phase: ``name``, ``epochs``, ``best_epoch``, ``seconds``, ``val_accuracy``.
        folds: ``(name, number of files, accuracy)`` of the run of each fold.
        outcome: What fine-tuning changed, or which run is better, in a line; empty for nothing to say.
        balance: ``{split: {class: number of files}}``.
        arguments: Effective value of every option, by its name on the command line.
        versions: Version of each package.
        warnings: Problems to know about before trusting the results.
        skipped: ``(path, reason)`` of files that could not be read.
        command: Command line that reproduces the job.
    """

    title: str
    preprocessor: Preprocessor
    highlights: Sequence[tuple[str, str]]
    sections: Sequence[Section]
    history: Sequence[tuple[str, Sequence[Mapping[str, float]]]] = ()
    phases: Sequence[Mapping[str, Any]] = ()
    outcome: str = ""
    folds: Sequence[tuple[str, int, str]] = ()
    balance: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    arguments: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    skipped: Sequence[tuple[str, str]] = ()
    command: str = ""

    @property
    def writer(self) -> str:
        """The program and the command that write the page: ``tlkit evaluate``."""
        return " ".join(self.command.split()[:2]) or "tlkit"


def write_page(page: Page, path: Path) -> None:
    """Write a page atomically.

    Raises:
        TlkitError: It cannot be written.
    """
    write_html(
        path,
        "report.html.jinja",
        page.preprocessor,
        {
            "accuracy": lambda evaluation: format_accuracy(evaluation.accuracy, evaluation.interval),
            "curves": lambda metrics: draw_history(page.history, metrics),
        },
        page=page,
        max_count=max((count for counts in page.balance.values() for count in counts.values()), default=0) or 1,
        max_errors=MAX_ERRORS,
    )

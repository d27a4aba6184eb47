"""Measure a run on labelled pictures or clips."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tlkit.config import EvaluateConfig, PredictConfig
from tlkit.data.dataset import TRAIN, is_held_out, scan_labelled
from tlkit.data.preprocessor import Preprocessor
from tlkit.errors import DataError, UsageError
from tlkit.inference.loop import forward
from tlkit.inference.select import open_engine
from tlkit.reporting.metrics import Evaluation
from tlkit.training.classifier import choose_classifier
from tlkit.training.reproduce import command_line, versions
from tlkit.training.run_folder import RunRecord, read_run
from tlkit.utils.logging import logger


@dataclass(frozen=True)
class Evaluated:
    """What a run does on labelled pictures or clips.

    Attributes:
        run: The run directory.
        data: The data folder.
        split: The folder that was measured: ``test``, ``validation``, ``train``, or ``all`` for class folders alone.
        evaluation: The numbers.
        files: In the order of the numbers.
        skipped: ``(path, reason)`` of files that could not be read.
        warnings: What a person should know before trusting it.
        preprocessor: How the run looks at a file.
    """

    run: str
    data: str
    split: str
    evaluation: Evaluation
    files: tuple[str, ...]
    skipped: tuple[tuple[str, str], ...]
    warnings: tuple[str, ...]
    preprocessor: Preprocessor

    def to_dict(self) -> dict[str, Any]:
        """Return what ``tlkit evaluate --format json`` prints."""
        return {
            "run": self.run,
            "data": self.data,
            "split": self.split,
            **self.evaluation.summary(),
            "skipped": [{"input": path, "error": reason} for path, reason in self.skipped],
            "warnings": list(self.warnings),
        }


def evaluate(config: EvaluateConfig) -> Evaluated:
    """Name every file of a labelled folder with a run, and compare.

    Raises:
        TlkitError: No such run, classes that it does not know, no file that can be read.
    """
    if config.report is not None and not Path(config.report).parent.is_dir():
        raise UsageError(
            f"There is no folder {Path(config.report).parent} for the page.",
            hint="Make it first.",
        )
    folder = Path(config.run)
    record = read_run(folder)
    classifier = choose_classifier(PredictConfig(images=(), model=config.run))
    preprocessor = classifier.network.preprocessor
    found = scan_labelled(config.data, record.classes, split=config.split, modality=preprocessor.modality)
    warnings = list(found.warnings)
    if _was_trained_on(record, config.data, found.name):
        warnings.append(
            f"{folder} was trained on {preprocessor.modality.plural} of {config.data}: it knows them, and the "
            "numbers flatter it."
        )
    for warning in warnings:
        logger.warning(warning)

    engine = open_engine(classifier.network, engine=config.engine, precision=config.precision)
    files = found.split.files
    outputs: list[np.ndarray] = []
    positions: list[int] = []
    skipped: list[tuple[str, str]] = []
    for batch in forward(
        files, engine, preprocessor=preprocessor, batch_size=config.batch_size, description="evaluate"
    ):
        outputs.append(batch.outputs[0])
        positions += batch.positions
        for position, reason in batch.failed:
            logger.warning("%s is skipped: %s.", files[position], reason)
            skipped.append((files[position], reason))
    if not positions:
        raise DataError(f"No {preprocessor.modality.singular} in {config.data} can be read.")
    evaluation = Evaluation(tuple(record.classes), found.split.labels[positions], np.concatenate(outputs))
    result = Evaluated(
        config.run,
        config.data,
        found.name,
        evaluation,
        tuple(files[position] for position in positions),
        tuple(skipped),
        tuple(warnings),
        preprocessor,
    )
    if config.report is not None:
        write_report(result, config)
    return result


def _was_trained_on(record: RunRecord, data: str, split: str) -> bool:
    """True when a folder is the one that a run was trained on, or lies in it, and is not what was held out."""
    given = record.arguments.get("data")
    if not isinstance(given, str) or split not in ("all", TRAIN):
        return False
    measured, trained_on = Path(data).resolve(), Path(given).resolve()
    inside = measured.relative_to(trained_on).parts if measured.is_relative_to(trained_on) else None
    return inside is not None and not (inside and is_held_out(inside[0]))


def write_report(result: Evaluated, config: EvaluateConfig) -> None:
    """Write the page of an evaluation to ``config.report``.

    Raises:
        TlkitError: It cannot be written.
    """
    from tlkit.reporting.page import Page, draw_section, write_page  # matplotlib and jinja2 start here

    evaluation = result.evaluation
    facts = [("accuracy", f"{evaluation.accuracy:.3f}")]
    facts += [] if evaluation.top5 is None else [("among the first five", f"{evaluation.top5:.3f}")]
    facts += [
        (result.preprocessor.modality.plural, f"{len(result.files):,}"),
        ("classes", f"{len(evaluation.classes):,}"),
    ]
    counts = {row.name: row.pictures for row in evaluation.by_class}
    page = Page(
        title=f"{Path(config.run).name} on {config.data}",
        preprocessor=result.preprocessor,
        facts=facts,
        sections=[draw_section(result.split, evaluation, result.files)],
        balance={result.split: counts},
        versions=versions(),
        warnings=result.warnings,
        skipped=result.skipped,
        command=command_line("evaluate", config),
    )
    write_page(page, Path(str(config.report)))

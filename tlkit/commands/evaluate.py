"""Evaluate a run on labelled images or audio clips."""

from __future__ import annotations

import dataclasses
import os
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
class EvaluationResult:
    """Metrics of a run on labelled files.

    Attributes:
        run: The run directory.
        data: The data folder.
        split: The evaluated split: ``test``, ``validation``, ``train``, or ``all`` for class folders alone.
        evaluation: Predictions and metrics.
        files: Paths of the evaluated files, in the order of the evaluation.
        skipped: ``(path, reason)`` of files that could not be read.
        warnings: Problems to know about before trusting the results.
        preprocessor: Of the run.
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


def evaluate(config: EvaluateConfig) -> EvaluationResult:
    """Predict the class of every labelled file with a run, and compute metrics; write the report if one is asked for.

    Raises:
        TlkitError: No such run, class folders that it was not trained on, no readable file, or the report cannot be
            written.
    """
    if config.report is not None and not Path(config.report).parent.is_dir():
        raise UsageError(f"There is no folder {Path(config.report).parent} for the report.", hint="Create it first.")
    folder = Path(config.run)
    record = read_run(folder)
    classifier = choose_classifier(PredictConfig(images=(), model=config.run))
    preprocessor = classifier.network.preprocessor
    labelled = scan_labelled(config.data, record.classes, split=config.split, modality=preprocessor.modality)
    warnings = list(labelled.warnings)
    if _was_trained_on(record, config.data, labelled.name):
        warnings.append(
            f"{folder} was trained on {preprocessor.modality.plural} of {config.data}: these numbers are too "
            "optimistic for new ones."
        )
    for warning in warnings:
        logger.warning(warning)

    engine = open_engine(classifier.network, engine=config.engine, precision=config.precision)
    files = labelled.split.files
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
    result = EvaluationResult(
        run=config.run,
        data=config.data,
        split=labelled.name,
        evaluation=Evaluation(tuple(record.classes), labelled.split.labels[positions], np.concatenate(outputs)),
        files=tuple(files[position] for position in positions),
        skipped=tuple(skipped),
        warnings=tuple(warnings),
        preprocessor=preprocessor,
    )
    if config.report is not None:
        _write_report(result, config, Path(config.report), engine.name)
    return result


def _was_trained_on(record: RunRecord, data: str, split: str) -> bool:
    """Return True if a folder is, or lies in, the data that a run was trained on, and was not held out."""
    trained_data = record.arguments.get("data")
    if not isinstance(trained_data, str) or split not in ("all", TRAIN):
        return False
    evaluated, trained_on = Path(data).resolve(), Path(trained_data).resolve()
    inside = evaluated.relative_to(trained_on).parts if evaluated.is_relative_to(trained_on) else None
    return inside is not None and not (inside and is_held_out(inside[0]))


def _write_report(result: EvaluationResult, config: EvaluateConfig, path: Path, engine: str) -> None:
    from tlkit.reporting.page import Page, draw_section, write_page  # imports matplotlib

    evaluation = result.evaluation
    highlights = [("accuracy", f"{evaluation.accuracy:.3f}")]
    highlights += [] if evaluation.top5 is None else [("top-5 accuracy", f"{evaluation.top5:.3f}")]
    highlights += [
        (result.preprocessor.modality.plural, f"{len(result.files):,}"),
        ("classes", f"{len(evaluation.classes):,}"),
    ]
    absolute = dataclasses.replace(
        config, run=os.path.abspath(config.run), data=os.path.abspath(config.data), report=os.path.abspath(path)
    )
    page = Page(
        title=f"{Path(config.run).name} on {config.data}",
        preprocessor=result.preprocessor,
        highlights=highlights,
        sections=[draw_section(result.split, evaluation, result.files)],
        balance={result.split: {report.name: report.images for report in evaluation.by_class}},
        arguments=absolute.effective(split=result.split, engine=engine),
        versions=versions(),
        warnings=result.warnings,
        skipped=result.skipped,
        command=command_line("evaluate", absolute),
    )
    write_page(page, path)

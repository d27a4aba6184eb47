"""Evaluate a run on labelled images or audio clips."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tlkit.config import EvaluateConfig, PredictConfig
from tlkit.data.dataset import Labelled, scan_labelled
from tlkit.data.digests import describe_copies, first_paths
from tlkit.data.layout import TRAIN
from tlkit.data.modality import Modality
from tlkit.data.preprocessor import Preprocessor
from tlkit.errors import DataError, UsageError
from tlkit.inference.loop import forward
from tlkit.inference.select import open_engine, resolve_engine
from tlkit.reporting.metrics import Evaluation
from tlkit.training.classifier import choose_classifier
from tlkit.training.reproduce import command_line, versions
from tlkit.training.run_folder import read_digests, read_run
from tlkit.utils.logging import logger, warn_skipped
from tlkit.utils.output_file import check_output
from tlkit.utils.text import pluralize


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
        left_out: Number of files in class folders that are no images, by the end of their names.
        warnings: Problems to know about before trusting the results.
        preprocessor: Of the run.
    """

    run: str
    data: str
    split: str
    evaluation: Evaluation
    files: tuple[str, ...]
    skipped: tuple[tuple[str, str], ...]
    left_out: Mapping[str, int]
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
            "left_out": dict(self.left_out),
            "warnings": list(self.warnings),
        }


def evaluate(config: EvaluateConfig) -> EvaluationResult:
    """Predict the class of every labelled file with a run, and compute metrics; write the report if one is asked for.

    Raises:
        TlkitError: No such run, class folders that it was not trained on, no readable file, or the report cannot be
            written.
    """
    if config.report is not None:
        _check_report(Path(config.report), force=config.force)
    folder = Path(config.run)
    record = read_run(folder)
    classifier = choose_classifier(PredictConfig(images=(), model=config.run))
    preprocessor = classifier.network.preprocessor
    labelled = scan_labelled(config.data, record.classes, split=config.split, modality=preprocessor.modality)
    warnings = list(labelled.warnings)
    for warning in warnings:
        logger.warning(warning)

    trained_on = read_digests(folder, TRAIN)
    files = labelled.split.files
    outputs: list[np.ndarray] = []
    positions: list[int] = []
    digests: list[bytes] = []
    skipped = list(labelled.skipped)
    for batch in forward(
        files,
        lambda: open_engine(classifier.network, engine=config.engine, precision=config.precision),
        preprocessor=preprocessor,
        batch_size=config.batch_size,
        description="evaluate",
        digests=True,
    ):
        outputs.append(batch.outputs[0])
        positions += batch.positions
        digests += batch.digests
        failed = [(files[position], reason) for position, reason in batch.failed]
        warn_skipped(failed, before=len(skipped))
        skipped += failed
    if not positions:
        raise DataError(f"No {preprocessor.modality.singular} in {config.data} can be read.")
    evaluated = tuple(files[position] for position in positions)
    copies = _copies(labelled, dict(zip(evaluated, digests, strict=True)), trained_on, config, preprocessor.modality)
    for warning in copies:
        logger.warning(warning)
    result = EvaluationResult(
        run=config.run,
        data=config.data,
        split=labelled.name,
        evaluation=Evaluation(tuple(record.classes), labelled.split.labels[positions], np.concatenate(outputs)),
        files=evaluated,
        skipped=tuple(skipped),
        left_out=labelled.left_out,
        warnings=(*warnings, *copies),
        preprocessor=preprocessor,
    )
    if config.report is not None:
        _write_report(result, config, Path(config.report), resolve_engine(config.engine))
    return result


def _copies(
    labelled: Labelled,
    digest_of: Mapping[str, bytes],
    trained_on: Collection[bytes],
    config: EvaluateConfig,
    modality: Modality,
) -> list[str]:
    """Describe the images that the run was trained on, wherever they lie now, and those under two classes."""
    by_class: dict[int, list[str]] = {}
    for file, label in zip(labelled.split.files, labelled.split.labels.tolist(), strict=True):
        by_class.setdefault(label, []).append(file)
    warnings = describe_copies(config.data, {labelled.name: by_class}, digest_of, modality)
    trained = [os.path.relpath(file, config.data) for file, digest in digest_of.items() if digest in trained_on]
    if trained:
        evaluated = pluralize(len(digest_of), f"evaluated {modality.singular}")
        warnings.append(
            f"{config.run} was trained on {len(trained):,} of {evaluated} "
            f"({first_paths(trained)}): the accuracy is too optimistic for new ones."
        )
    return warnings


def _check_report(path: Path, *, force: bool) -> None:
    from tlkit.reporting.page import is_page

    if not path.parent.is_dir():
        raise UsageError(f"There is no folder {path.parent} for the report.", hint="Create it first.")
    check_output(path, lambda page: is_page(page, "tlkit evaluate"), force=force)


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

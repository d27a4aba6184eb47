"""What ``finetune`` leaves in a run folder: the model, its record, and a page to look at."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from tlkit.data.preprocessor import Preprocessor
from tlkit.reporting.page import Page, draw_section, write_page
from tlkit.reporting.plots import draw_history
from tlkit.training.dataset_features import Pictures
from tlkit.training.plan import FinetuneResult, Job
from tlkit.training.reproduce import command_line, versions
from tlkit.training.run_folder import REPORT, RunRecord, write_model, write_record
from tlkit.training.run_state import tidy_up
from tlkit.utils.atomic_write import atomic_write
from tlkit.utils.logging import logger
from tlkit.utils.text import pluralize


def write_run(result: FinetuneResult, job: Job, model: Any, pictures: Pictures, features: Mapping[str, Any]) -> None:
    """Write the run; its record comes last, because a folder that has one is complete.

    Args:
        result: What the run came to.
        job: What was asked for.
        model: The finished model, from picture to classes.
        pictures: What it was trained on.
        features: What decided the features of phase 1.

    Raises:
        RunError: The folder cannot be written to.
    """
    freeze_point, head, preprocessor = result.freeze_point, job.head, job.preprocessor
    phases = [phase.summary() for phase in result.phases]
    # so that it is known later, from anywhere, what it was trained on
    arguments = {**dataclasses.asdict(job.config), "data": os.path.abspath(job.config.data)}
    record = RunRecord(
        architecture=job.architecture.name,
        classes=result.classes,
        preprocessing=preprocessor.preprocessing,
        size=preprocessor.size,
        kind=preprocessor.modality.name,
        resize=preprocessor.resize_mode,
        data_format=preprocessor.data_format,
        weights={"name": job.weights.name, "digest": job.weights.digest},
        head={"kind": head.kind, "pooling": head.pooling},
        freeze={
            "layers": freeze_point.frozen,
            "total": freeze_point.total,
            "through": freeze_point.last,
            "trained": result.trained,
        },
        arguments=arguments,
        versions=versions(),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        data=pictures.counts(),
        results={
            "val_accuracy": result.val_accuracy,
            "test_accuracy": result.test_accuracy,
            "phases": phases,
            **{split: evaluation.summary() for split, evaluation in result.evaluations.items()},
        },
        command=command_line("finetune", job.config, leave_out=("output",)),
        features=features,
        skipped=[{"input": path, "error": reason} for path, reason in result.skipped],
        warnings=[*result.warnings, *(note for cut in job.freeze_points for note in cut.notes)],
    )
    write_model(result.run, model, result.phases)
    try:
        _draw(result, record, pictures, preprocessor)
    except Exception as error:  # matplotlib, its fonts, its cache folder: the model is worth more
        logger.warning("%s is not whole: %s.", result.run / REPORT, error)
    write_record(result.run, record)
    tidy_up(result.run)


def _draw(result: FinetuneResult, record: RunRecord, pictures: Pictures, preprocessor: Preprocessor) -> None:
    curves = draw_history([(phase.name, phase.epochs) for phase in result.phases])
    sections = [
        draw_section(split, evaluation, pictures.splits[split].files)
        for split, evaluation in result.evaluations.items()
    ]
    drawn = {"history.png": curves}
    for section in sections:
        end = "" if section.split == "validation" else f"_{section.split}"
        drawn[f"confusion{end}.png"] = section.confusion
        drawn[f"calibration{end}.png"] = section.calibration
    for name, data in drawn.items():
        with atomic_write(result.run / name) as part:
            part.write_bytes(data)
    facts = [("validation accuracy", f"{result.val_accuracy:.3f}")]
    if result.test_accuracy is not None:
        facts.append(("test accuracy", f"{result.test_accuracy:.3f}"))
    facts += [
        ("base", record.architecture),
        ("of the base trained", pluralize(len(result.trained), "layer")),
        ("classes", f"{len(result.classes):,}"),
        (f"{preprocessor.modality.plural} to train on", f"{result.images['train']:,}"),
        ("made", record.created[:10]),
    ]
    page = Page(
        title=f"Run {result.run.name}",
        preprocessor=preprocessor,
        facts=facts,
        sections=sections,
        curves=curves,
        phases=record.results["phases"],
        balance=record.data,
        arguments=record.arguments,
        versions=record.versions,
        warnings=record.warnings,
        skipped=result.skipped,
        command=record.command,
    )
    write_page(page, result.run / REPORT)

"""Save what ``finetune`` trained: the model, its record, and a report page."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from tlkit.config import FinetuneConfig
from tlkit.data.layout import VALIDATION
from tlkit.data.modality import IMAGE
from tlkit.inference.base import run
from tlkit.inference.provenance import Provenance
from tlkit.inference.select import open_engine
from tlkit.reporting.metrics import Evaluation, format_accuracy
from tlkit.reporting.multi_label import MultiLabelEvaluation
from tlkit.reporting.page import Page, Section, draw_section, write_page
from tlkit.reporting.plots import draw_history
from tlkit.training.base import Stage
from tlkit.training.calibrate import calibrate, with_thresholds
from tlkit.training.explain import draw_errors
from tlkit.training.history import Outcome, Phase
from tlkit.training.plan import TrainingPlan
from tlkit.training.reproduce import command_line, effective_options, versions
from tlkit.training.result import FinetuneResult
from tlkit.training.run_folder import MODEL, REPORT, RunRecord, write_digests, write_model, write_record
from tlkit.training.run_network import RunNetwork
from tlkit.training.run_state import tidy_up
from tlkit.training.split_data import SplitData
from tlkit.training.trackers.base import Finished
from tlkit.training.trackers.tracking import Trackers
from tlkit.training.unknown import Features, choose_images, features_of_run, known_layers, learn_unknown
from tlkit.utils.atomic_write import atomic_write
from tlkit.utils.hashing import file_digest
from tlkit.utils.logging import logger
from tlkit.utils.text import format_bytes, pluralize


@dataclass(frozen=True)
class Trained:
    """What training made.

    Attributes:
        phases: The history of each phase.
        evaluations: Evaluation of each split, by its name.
        save_model: Write the finished model, from image to class probabilities, to a ``.keras`` file.
    """

    phases: Sequence[Phase]
    evaluations: Mapping[str, Evaluation]
    save_model: Callable[[Path], None]


def save_run(
    folder: Path,
    plan: TrainingPlan,
    images: SplitData,
    stages: Sequence[Stage],
    trained: Trained,
    provenance: Provenance,
    known: tuple[Features, np.ndarray] | None,
    trackers: Trackers,
) -> FinetuneResult:
    """Save a run; its record is written last, because a folder that has one is complete.

    Args:
        folder: The run folder.
        plan: What was decided.
        images: What it was trained on.
        stages: The stages of phase 2.
        trained: What training made.
        provenance: What decided the features of phase 1.
        known: What was computed along, to know images of other kinds by: features, and the labels of the training
            images; None where the finished model computes it.
        trackers: What is told that the run is saved.

    Raises:
        RunError: The folder cannot be written to.
    """
    last = stages[-1] if stages else None
    temperature, evaluations = calibrate(trained.evaluations, images.preprocessor.modality, seed=plan.config.seed)
    thresholds, evaluations = with_thresholds(evaluations, seed=plan.config.seed)
    outcome = Outcome.of(trained.phases, keeps_best=plan.config.keep == "best")
    collapse = outcome.collapse(0 if thresholds else 1 / len(images.classes))
    if collapse:
        logger.warning(collapse)
    result = FinetuneResult(
        run=folder,
        architecture=plan.architecture.name,
        classes=images.classes,
        images={name: len(split.files) for name, split in images.splits.items()},
        freeze_point=plan.freeze_point,
        trained=last.trained if last else (),
        phases=tuple(trained.phases),
        outcome=outcome,
        recipe=plan.config.recipe,
        temperature=temperature,
        thresholds=thresholds,
        evaluations=evaluations,
        cross_validation=plan.cross_validation,
        skipped=tuple(images.skipped),
        left_out=plan.dataset.left_out,
        warnings=(*plan.warnings, *images.warnings, *([collapse] if collapse else ())),
    )
    options = _resolved_options(result, plan)
    record = _record(result, plan, images, provenance, options)
    write_model(folder, trained.save_model, trained.phases)
    write_digests(folder, images.digests_by_file(plan.dataset.root))
    record = dataclasses.replace(record, model_digest=file_digest(folder / MODEL))
    finished = RunNetwork(folder, record)
    try:
        _learn_unknown(finished, plan, images, known)
    except Exception as error:  # the model is worth more
        logger.warning("The run does not know images of other kinds: %s.", error)
    sections: list[Section] = []
    try:
        sections += _draw_sections(result, images, _explain_errors(finished, plan, images, result))
        _write_report(result, record, images, _shown_options(plan, options), sections)
    except Exception as error:  # matplotlib, its fonts, its cache folder: the model is worth more
        logger.warning("%s is incomplete: %s.", folder / REPORT, error)
    write_record(folder, record)
    tidy_up(folder)
    trackers.finish(Finished(result, sections, images.preprocessor))
    return result


def _learn_unknown(
    finished: RunNetwork, plan: TrainingPlan, images: SplitData, known: tuple[Features, np.ndarray] | None
) -> None:
    layers = known_layers(plan.architecture, plan.layers[-1].name)
    features, labels = known or features_of_run(
        finished, layers, choose_images(images, seed=plan.config.seed), images, plan.config.engine
    )
    folds = [fold.run for fold in plan.cross_validation.folds] if plan.cross_validation else []
    learn_unknown(finished.folder, finished.record, layers, features, labels, folds)


def _explain_errors(
    finished: RunNetwork, plan: TrainingPlan, images: SplitData, result: FinetuneResult
) -> dict[str, dict[int, bytes]]:
    """Draw where the most confident errors of each split show the class that was predicted.

    It takes seconds, which a head alone does not take to train: `tlkit evaluate --report` draws them for it.
    """
    is_explained = plan.freeze_points and images.preprocessor.modality is IMAGE
    # errors of folds were made by other runs
    own = {split: found for split, found in result.evaluations.items() if split in images.splits}
    wrong = {split: found for split, found in own.items() if found.errors and is_explained}
    if not wrong:
        return {}
    network = finished.classifier()
    engine = open_engine(network, engine=plan.config.engine)
    return {
        split: draw_errors(
            lambda pixels: run(engine, pixels)[0], network.preprocessor, found, images.splits[split].files
        )
        for split, found in wrong.items()
    }


def _resolved_options(result: FinetuneResult, plan: TrainingPlan) -> dict[str, Any]:
    """Return the effective values of options that the config leaves open; paths are absolute."""
    head, preprocessor, config = plan.head, plan.preprocessor, plan.config
    assert isinstance(config, FinetuneConfig)
    elsewhere = config.stages or config.unfreeze is not None or config.unfreeze_blocks is not None
    return {
        "data": os.path.abspath(plan.config.data),
        "output": os.path.abspath(config.output or result.run),  # a fold is trained by the command of the whole run
        "size": preprocessor.size,
        "resize": preprocessor.resize_mode,
        "data_format": preprocessor.data_format,
        "pooling": head.pooling,
        "head_units": head.units or None,
        "dropout": head.dropout,
        "optimizer": config.head_optimizer,
        "freeze": config.freeze if elsewhere or not plan.freeze_points else result.freeze_point.last_frozen_layer,
        "cache_limit": format_bytes(plan.cache_budget_bytes),
    }


def _record(
    result: FinetuneResult, plan: TrainingPlan, images: SplitData, features: Provenance, options: Mapping[str, Any]
) -> RunRecord:
    config, head, preprocessor = plan.config, plan.head, plan.preprocessor
    assert isinstance(config, FinetuneConfig)
    notes = [note for freeze_point in plan.freeze_points for note in freeze_point.notes]
    return RunRecord(
        architecture=result.architecture,
        classes=result.classes,
        preprocessing=preprocessor.preprocessing,
        size=preprocessor.size,
        modality=preprocessor.modality.name,
        resize=preprocessor.resize_mode,
        data_format=preprocessor.data_format,
        weights={"name": plan.weights.name, "digest": plan.weights.digest},
        head={"kind": head.kind, "pooling": head.pooling},
        freeze={**result.freeze, "trained": list(result.trained)},
        arguments=effective_options(config.reproducible, **options),
        versions=versions(),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        data=images.counts(),
        results={
            "val_accuracy": result.val_accuracy,
            "test_accuracy": result.test_accuracy,
            "interval": list(result.evaluations["validation"].interval),
            "phases": result.phase_summaries,
            "recipe": result.recipe,
            "kept": result.outcome.kept,
            "chosen_on_validation": result.chosen_on_validation,
            **({"folds": result.cross_validation.to_list()} if result.cross_validation else {}),
            **{split: evaluation.summary() for split, evaluation in result.evaluations.items()},
        },
        command=command_line(
            "finetune", dataclasses.replace(config.reproducible, data=options["data"], output=options["output"])
        ),
        features=features.to_dict(),
        skipped=[{"input": path, "error": reason} for path, reason in result.skipped],
        left_out=dict(result.left_out),
        warnings=[*result.warnings, *notes],
        temperature=result.temperature,
        thresholds=result.thresholds,
    )


def _files(result: FinetuneResult, images: SplitData, split: str) -> Sequence[str]:
    """Return the files of an evaluation."""
    if split == VALIDATION and result.cross_validation:
        return result.cross_validation.files
    return images.splits[split].files


def _shown_options(plan: TrainingPlan, options: Mapping[str, Any]) -> dict[str, str]:
    """Return the effective options for the page, without those that only watch the run."""
    shown = plan.config.effective(**options)
    return {flag: value for flag, value in shown.items() if flag not in ("--tensorboard", "--mlflow")}


def _draw_sections(result: FinetuneResult, images: SplitData, heat: Mapping[str, Mapping[int, bytes]]) -> list[Section]:
    folds = len(result.cross_validation.folds) if result.cross_validation else 0
    return [
        draw_section(
            split,
            evaluation,
            _files(result, images, split),
            folds=folds if split == VALIDATION else 0,
            chosen=split == VALIDATION and result.chosen_on_validation,
            heat=heat.get(split),
        )
        for split, evaluation in result.evaluations.items()
    ]


def _write_report(
    result: FinetuneResult,
    record: RunRecord,
    images: SplitData,
    options: Mapping[str, str],
    sections: Sequence[Section],
) -> None:
    preprocessor = images.preprocessor
    history = [(phase.name, phase.epochs) for phase in result.phases]
    if sum(len(epochs) for _, epochs in history) < 2:
        history = []  # a point is no curve, and takes as long to draw
    folds = len(result.cross_validation.folds) if result.cross_validation else 0
    drawn = {"history.png": draw_history(history)} if history else {}
    for section in sections:
        end = "" if section.split == "validation" else f"_{section.split}"
        drawn |= {f"confusion{end}.png": section.confusion} if section.confusion else {}
        drawn[f"calibration{end}.png"] = section.calibration
    for name, data in drawn.items():
        with atomic_write(result.run / name) as part:
            part.write_bytes(data)
    also = ", also used to choose the epoch" if result.chosen_on_validation else ""

    def accuracy_of(split: str) -> str:
        return f"accuracy in {folds} folds" if folds and split == VALIDATION else f"{split} accuracy"

    highlights = [
        (f"{accuracy_of(split)}{also if split == VALIDATION else ''}", format_accuracy(found.accuracy, found.interval))
        for split, found in result.evaluations.items()
    ]
    highlights += [
        *(
            (f"{split} mean average precision", found.ranking)
            for split, found in result.evaluations.items()
            if isinstance(found, MultiLabelEvaluation)
        ),
        ("base network", record.architecture),
        ("recipe", result.recipe),
        ("fine-tuned", pluralize(len(result.trained) if result.outcome.kept == "finetune" else 0, "layer")),
        ("classes", f"{len(result.classes):,}"),
        (f"training {preprocessor.modality.plural}", f"{result.images['train']:,}"),
        ("created", record.created[:10]),
    ]
    page = Page(
        title=f"Run {result.run.name}",
        preprocessor=preprocessor,
        highlights=highlights,
        sections=sections,
        history=history,
        phases=record.results["phases"],
        outcome=result.outcome.line or "",
        folds=[
            (fold.run.name, len(fold.files), format_accuracy(fold.val_accuracy, fold.interval))
            for fold in (result.cross_validation.folds if result.cross_validation else ())
        ],
        balance=record.data,
        arguments=options,
        versions=record.versions,
        warnings=record.warnings,
        skipped=result.skipped,
        command=record.command,
    )
    write_page(page, result.run / REPORT)

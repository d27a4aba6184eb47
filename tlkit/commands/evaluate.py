"""Evaluate a run on labelled images or audio clips."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tlkit.analysis.comparison import mcnemar
from tlkit.analysis.unknown import auroc
from tlkit.config import EvaluateConfig, PredictConfig
from tlkit.data.dataset import Labelled, files_by_labels, scan_labelled
from tlkit.data.digests import describe_copies, first_paths
from tlkit.data.discovery import expand_inputs
from tlkit.data.labelled_files import relative_name
from tlkit.data.layout import TRAIN, VALIDATION
from tlkit.data.modality import IMAGE, Modality
from tlkit.data.preprocessor import Preprocessor
from tlkit.errors import DataError, UsageError
from tlkit.inference.base import Engine, run
from tlkit.inference.loop import forward
from tlkit.inference.select import open_engine, resolve_engine
from tlkit.inference.tta import AveragingEngine
from tlkit.reporting.html import check_page_path
from tlkit.reporting.metrics import Evaluation, format_accuracy, wilson_interval
from tlkit.reporting.multi_label import make_evaluation
from tlkit.training.classifier import Classifier, choose_classifier
from tlkit.training.explain import draw_errors
from tlkit.training.exported_record import read_record
from tlkit.training.reproduce import command_line, versions
from tlkit.training.run_folder import RunRecord, read_digests
from tlkit.utils.logging import logger, warn_skipped
from tlkit.utils.text import join_truncated, pluralize

SIGNIFICANT = 0.05
"""p-values below call a difference real."""


@dataclass(frozen=True)
class Comparison:
    """How another run does on the same images.

    Attributes:
        run: The other run.
        evaluation: Its predictions and metrics.
        p_value: Of the test of McNemar: how likely so large a difference is if both are equally good, 0 to 1.
        agreement: Share of the images that both give the same, 0 to 1.
        max_difference: Largest difference of a probability, 0 to 1.
    """

    run: str
    evaluation: Evaluation
    p_value: float
    agreement: float
    max_difference: float

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON values of the comparison."""
        return {
            "run_b": self.run,
            "accuracy_b": self.evaluation.accuracy,
            "interval_b": list(self.evaluation.interval),
            "p_value": self.p_value,
            "top1_agreement": self.agreement,
            "max_difference": self.max_difference,
        }


@dataclass(frozen=True)
class Foreign:
    """How well a run tells images of none of its classes.

    Attributes:
        images: Number of foreign images.
        turned_away: Share of them that is called unknown, 0 to 1.
        known_turned_away: Share of the evaluated images that is called unknown, 0 to 1.
        auroc: How often a foreign image is stranger than an evaluated one, 0 to 1.
        skipped: ``(path, reason)`` of files that could not be read.
    """

    images: int
    turned_away: float
    known_turned_away: float
    auroc: float
    skipped: tuple[tuple[str, str], ...]

    @property
    def interval(self) -> tuple[float, float]:
        """95% confidence interval of ``turned_away``, 0 to 1."""
        return wilson_interval(self.turned_away, self.images)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON values of the foreign images."""
        return {
            "images": self.images,
            "auroc": self.auroc,
            "turned_away": self.turned_away,
            "interval": list(self.interval),
            "known_turned_away": self.known_turned_away,
            "skipped": [{"input": path, "error": reason} for path, reason in self.skipped],
        }


@dataclass(frozen=True)
class EvaluationResult:
    """Metrics of a run on labelled files.

    Attributes:
        run: The run directory.
        data: The data folder.
        split: The evaluated split: ``test``, ``validation``, ``train``, or ``all`` for class folders
            alone, and a table without splits.
        evaluation: Predictions and metrics.
        comparison: With another run; None without one.
        foreign: How it does on images of none of its classes; None where none were given.
        accuracy_without_tta: Accuracy without test-time augmentation, 0 to 1; None where there is none.
        files: Paths of the evaluated files, in the order of the evaluation.
        skipped: ``(path, reason)`` of files that could not be read.
        left_out: Number of files in class folders that are no images, by the end of their names.
        warnings: Problems to know about before trusting the results.
        preprocessor: Of the run.
        chosen_on: The run chose among its epochs on images of this evaluation.
    """

    run: str
    data: str
    split: str
    evaluation: Evaluation
    comparison: Comparison | None
    foreign: Foreign | None
    accuracy_without_tta: float | None
    files: tuple[str, ...]
    skipped: tuple[tuple[str, str], ...]
    left_out: Mapping[str, int]
    warnings: tuple[str, ...]
    preprocessor: Preprocessor
    chosen_on: bool

    @property
    def verdict(self) -> str | None:
        """Which of two runs is better, in a sentence; None without another run."""
        if self.comparison is None:
            return None
        other, p_value = self.comparison, self.comparison.p_value
        by_chance = f"such a difference comes by chance alone with p = {p_value:.2g} (McNemar's test)"
        if p_value >= SIGNIFICANT:
            return f"Neither is shown to be better: {by_chance}."
        first = self.evaluation.accuracy > other.evaluation.accuracy
        better, worse = (self.run, other.run) if first else (other.run, self.run)
        return f"{better} is better than {worse}: {by_chance}."

    def to_dict(self) -> dict[str, Any]:
        """Return what ``tlkit evaluate --format json`` prints."""
        return {
            "run": self.run,
            "data": self.data,
            "split": self.split,
            **self.evaluation.summary(),
            "chosen_on_validation": self.chosen_on,
            **({} if self.comparison is None else {"comparison": self.comparison.to_dict()}),
            **({} if self.foreign is None else {"foreign": self.foreign.to_dict()}),
            **self._tta(),
            "skipped": [{"input": path, "error": reason} for path, reason in self.skipped],
            "left_out": dict(self.left_out),
            "warnings": list(self.warnings),
        }

    def _tta(self) -> dict[str, Any]:
        plain = self.accuracy_without_tta
        if plain is None:
            return {}
        interval = list(wilson_interval(plain, len(self.files)))
        return {"accuracy_without_tta": plain, "interval_without_tta": interval}


def evaluate(config: EvaluateConfig) -> EvaluationResult:
    """Predict the class of every labelled file with a run, and compute metrics; write the report if one is asked for.

    Raises:
        TlkitError: No such run, class folders that it was not trained on, runs that cannot be compared, no readable
            file, or the report cannot be written.
    """
    if config.report is not None:
        check_page_path(Path(config.report), "tlkit evaluate", force=config.force)
    record = read_record(Path(config.run))
    other = None if config.run_b is None else _other_run(config.run_b, config.run, record)
    modality = record.preprocessor().modality
    if config.tta and modality is not IMAGE:
        raise UsageError(f"--tta is for images, and {config.run} takes {modality.name}.", hint="Leave --tta out.")
    labelled = scan_labelled(
        config.data, record.classes, split=config.split, modality=modality, multi_label=record.multi_label,
        separator=record.arguments.get("label_separator"),

    )  # fmt: skip
    warnings = list(labelled.warnings)
    for warning in warnings:
        logger.warning(warning)

    files = labelled.split.files
    first = _predict(config.run, record, files, config, before=len(labelled.skipped))
    if not first.digests:
        raise DataError(f"No {modality.singular} in {config.data} can be read.")
    positions = sorted(first.digests)
    evaluated = tuple(files[position] for position in positions)
    labels = labelled.split.labels[positions]
    digest_of = dict(zip(evaluated, map(first.digests.__getitem__, positions), strict=True))
    copies = _copies(labelled, digest_of, config.run, config, modality)
    comparison = None
    if other is not None:
        assert config.run_b is not None
        second = _predict(config.run_b, other, evaluated, config, before=len(labelled.skipped))
        if len(second.digests) < len(evaluated):
            raise DataError(f"Some {modality.plural} that could be read for {config.run} cannot be read now.")
        copies += _copies(labelled, digest_of, config.run_b, config, modality, copies_in_data=False)
        evaluation_b = _evaluation(second, other, labels, record.classes)
        evaluation_a = _evaluation(first, record, labels)
        same = (evaluation_a.predicted == evaluation_b.predicted).reshape(len(labels), -1).all(axis=1)
        comparison = Comparison(
            config.run_b,
            evaluation_b,
            mcnemar(evaluation_a.correct, evaluation_b.correct),
            float(same.mean()),
            float(np.abs(evaluation_a.probabilities - evaluation_b.probabilities).max()),
        )
    for warning in copies:
        logger.warning(warning)
    chosen_on = read_digests(Path(config.run), VALIDATION) if record.results.get("chosen_on_validation") else ()
    result = EvaluationResult(
        run=config.run,
        data=config.data,
        split=labelled.name,
        evaluation=_evaluation(first, record, labels),
        comparison=comparison,
        foreign=None if config.foreign is None else _foreign(first, record, config),
        accuracy_without_tta=None
        if first.plain is None
        else _evaluation(dataclasses.replace(first, outputs=first.plain), record, labels).accuracy,
        files=evaluated,
        skipped=(*labelled.skipped, *first.skipped),
        left_out=labelled.left_out,
        warnings=(*warnings, *copies),
        preprocessor=record.preprocessor(),
        chosen_on=any(digest in chosen_on for digest in digest_of.values()),
    )
    if config.report is not None:
        _write_report(result, config, Path(config.report), first.engine)
    return result


@dataclass(frozen=True)
class _Predicted:
    """Outputs of a run.

    Attributes:
        outputs: ``(readable files, classes)`` float32 probabilities, before calibration, in the order of the files.
        digests: SHA-256 of the files that could be read, by position.
        skipped: ``(path, reason)`` of the others.
        strangeness: ``(readable files,)`` float32, above 1 for unknown images; None where the run has not learned that.
        plain: The outputs without test-time augmentation; None if there is none.
        engine: ``keras`` or ``openvino``: what ran, or would have run an exported file.
    """

    outputs: np.ndarray
    digests: Mapping[int, bytes]
    skipped: tuple[tuple[str, str], ...]
    strangeness: np.ndarray | None
    plain: np.ndarray | None
    engine: str


def _predict(run: str, record: RunRecord, files: Sequence[str], config: EvaluateConfig, *, before: int) -> _Predicted:
    classifier = _classifier(run, config)
    network = classifier.network
    strangeness: dict[int, float] = {}
    plain: dict[int, np.ndarray] = {}

    used: str = resolve_engine(config.engine)

    def open_network() -> Engine:
        nonlocal used
        engine = open_engine(network, engine=config.engine, precision=config.precision)
        if network.runtime is None:
            used = engine.name  # Keras, if OpenVINO could not
        return AveragingEngine(engine) if config.tta else engine

    outputs: dict[int, np.ndarray] = {}
    digests: dict[int, bytes] = {}
    skipped: list[tuple[str, str]] = []
    for batch in forward(
        files,
        open_network,
        preprocessor=network.preprocessor,
        batch_size=config.batch_size,
        description="evaluate",
        digests=True,
    ):
        outputs |= zip(batch.positions, batch.outputs[0], strict=True)
        digests |= zip(batch.positions, batch.digests, strict=True)
        if config.tta:
            plain |= zip(batch.positions, batch.outputs[-1], strict=True)
        strange = classifier.strangeness(batch.outputs)
        if strange is not None:
            strangeness |= zip(batch.positions, strange.tolist(), strict=True)
        failed = [(files[position], reason) for position, reason in batch.failed]
        warn_skipped(failed, before=before + len(skipped))
        skipped += failed
    rows = [outputs[position] for position in sorted(outputs)]
    return _Predicted(
        np.stack(rows) if rows else np.empty((0, len(record.classes))),
        digests,
        tuple(skipped),
        np.array([strangeness[position] for position in sorted(outputs)]) if classifier.knows_unknown else None,
        np.stack([plain[position] for position in sorted(outputs)]) if plain else None,
        used,
    )


def _classifier(run: str, config: EvaluateConfig) -> Classifier:
    return choose_classifier(PredictConfig(images=(), model=run, engine=config.engine, precision=config.precision))


def _foreign(known: _Predicted, record: RunRecord, config: EvaluateConfig) -> Foreign:
    """Compare the strangeness of images of known classes with that of foreign ones."""
    assert config.foreign is not None
    modality = record.preprocessor().modality
    predicted = _predict(config.run, record, expand_inputs([config.foreign], modality), config, before=0)
    if known.strangeness is None or predicted.strangeness is None:
        raise UsageError(
            f"{config.run} has not learned what its images look like, which --foreign measures.",
            hint="It is of an older tlkit: train it again.",
        )
    if not len(predicted.strangeness):
        raise DataError(f"No {modality.singular} in {config.foreign} can be read.")
    return Foreign(
        len(predicted.strangeness),
        float((predicted.strangeness > 1).mean()),
        float((known.strangeness > 1).mean()),
        auroc(known.strangeness, predicted.strangeness),
        predicted.skipped,
    )


def _evaluation(
    predicted: _Predicted, record: RunRecord, labels: np.ndarray, classes: Sequence[str] = ()
) -> Evaluation:
    """Compare predictions with labels, which are indices into ``classes``, those of the run unless given."""
    columns = [record.classes.index(name) for name in classes or record.classes]
    raw = predicted.outputs[:, columns]
    return make_evaluation(
        tuple(classes or record.classes),
        labels,
        record.calibrated(raw),
        temperature=record.temperature,
        before=None if record.temperature == 1 else raw,
        thresholds=[record.thresholds[column] for column in columns] if record.multi_label else (),
    )


def _other_run(path: str, first: str, record: RunRecord) -> RunRecord:
    """Read the run to compare with."""
    other = read_record(Path(path))
    if set(other.classes) != set(record.classes):
        odd = sorted(set(other.classes) ^ set(record.classes))
        raise UsageError(
            f"{first} and {path} cannot be compared: only one of them knows {join_truncated(odd)}.",
            hint="Compare runs with the same classes.",
        )
    if other.multi_label != record.multi_label:
        raise UsageError(f"Only one of {first} and {path} gives several labels an image: they cannot be compared.")
    if other.modality != record.modality:
        raise UsageError(f"{first} takes {record.modality}, {path} takes {other.modality}: they cannot be compared.")
    return other


def _copies(
    labelled: Labelled,
    digest_of: Mapping[str, bytes],
    run: str,
    config: EvaluateConfig,
    modality: Modality,
    *,
    copies_in_data: bool = True,
) -> list[str]:
    """Describe the images that a run was trained on, wherever they lie now, and those under two classes."""
    trained_on = read_digests(Path(run), TRAIN)
    warnings = (
        describe_copies(labelled.root, files_by_labels({labelled.name: labelled.split}), digest_of, modality)
        if copies_in_data
        else []
    )
    trained = [relative_name(file, labelled.root) for file, digest in digest_of.items() if digest in trained_on]
    if trained:
        evaluated = pluralize(len(digest_of), f"evaluated {modality.singular}")
        warnings.append(
            f"{run} was trained on {len(trained):,} of {evaluated} "
            f"({first_paths(trained)}): the accuracy is too optimistic for new ones."
        )
    return warnings


def _write_report(result: EvaluationResult, config: EvaluateConfig, path: Path, engine: str) -> None:
    from tlkit.reporting.page import Page, draw_section, write_page  # imports matplotlib

    evaluation, heat = result.evaluation, {}
    if evaluation.errors and result.preprocessor.modality is IMAGE:
        classifier = _classifier(config.run, config)
        opened = open_engine(classifier.network, engine=config.engine, precision=config.precision)
        heat = draw_errors(lambda images: run(opened, images)[0], result.preprocessor, evaluation, result.files)
    highlights = [("accuracy", format_accuracy(evaluation.accuracy, evaluation.interval))]
    if result.comparison is not None:
        other = result.comparison.evaluation
        highlights.append((f"accuracy of {result.comparison.run}", format_accuracy(other.accuracy, other.interval)))
    if result.foreign is not None:
        foreign = result.foreign
        highlights.append(
            ("foreign images turned away as unknown", format_accuracy(foreign.turned_away, foreign.interval))
        )
    highlights += [] if evaluation.top5 is None else [("top-5 accuracy", f"{evaluation.top5:.3f}")]
    highlights += [
        (result.preprocessor.modality.plural, f"{len(result.files):,}"),
        ("classes", f"{len(evaluation.classes):,}"),
    ]
    absolute = dataclasses.replace(
        config,
        run=os.path.abspath(config.run),
        run_b=None if config.run_b is None else os.path.abspath(config.run_b),
        data=os.path.abspath(config.data),
        foreign=None if config.foreign is None else os.path.abspath(config.foreign),
        report=os.path.abspath(path),
    )
    page = Page(
        title=f"{Path(config.run).name} on {config.data}",
        preprocessor=result.preprocessor,
        highlights=highlights,
        outcome=result.verdict or "",
        sections=[draw_section(result.split, evaluation, result.files, chosen=result.chosen_on, heat=heat)],
        balance={result.split: {report.name: report.images for report in evaluation.by_class}},
        arguments=absolute.effective(split=result.split, engine=engine),
        versions=versions(),
        warnings=result.warnings,
        skipped=result.skipped,
        command=command_line("evaluate", absolute),
    )
    write_page(page, path)

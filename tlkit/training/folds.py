"""Train a run for each fold of the images, before the run on all of them."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tlkit.analysis.logistic_regression import fold_numbers
from tlkit.config import FinetuneConfig
from tlkit.data.dataset import Dataset, Split
from tlkit.data.hold_out import unit_numbers
from tlkit.data.layout import TRAIN, VALIDATION
from tlkit.errors import RunError, UsageError
from tlkit.training.cross_validation import CrossValidation, Fold
from tlkit.training.plan import TrainingPlan
from tlkit.training.result import FinetuneResult
from tlkit.training.run_folder import RECORD
from tlkit.training.run_state import FOLDS
from tlkit.training.split_data import SplitData
from tlkit.utils.atomic_write import atomic_write
from tlkit.utils.logging import logger
from tlkit.utils.text import join_truncated, pluralize

_SMALL_CLASS = 10
"""Images of a class up to which they are decoded before they are dealt out."""

Train = Callable[[TrainingPlan, SplitData, Path], FinetuneResult]
"""Train a run in its folder, from its last checkpoint where there is one, and save it."""


def train_folds(plan: TrainingPlan, folder: Path, train: Train) -> TrainingPlan:
    """Train a run on all folds but one, for each of them, and plan the run on all images, which they validate.

    A run that is complete, because the work was interrupted after it, is not trained again.

    Args:
        plan: The run, without a validation split: its training images are dealt out to the folds.
        folder: Its folder, which the runs of the folds go into.
        train: Trains one of them.

    Raises:
        UsageError: A fold would be empty, or all images of a class in one.
        RunError: The folder cannot be written to.
    """
    assert isinstance(plan.config, FinetuneConfig) and plan.config.folds is not None
    count = plan.config.folds
    config = dataclasses.replace(plan.config, output=str(folder))
    modality = plan.preprocessor.modality
    pool = _drop_unreadable_of_small(plan.dataset, plan)
    images = pool.splits[TRAIN]
    numbers = _deal(pool, count, config.seed)
    filled = len({*numbers.tolist()} - {-1})
    if filled < count:
        groups = f" in {pluralize(len({*pool.groups.values()}), 'group')}" if pool.groups else ""
        raise UsageError(
            f"--folds {count}: {pluralize(len(images.files), modality.singular)} of "
            f"{pluralize(len(pool.classes), 'class', 'classes')}{groups} cannot be dealt out to so many folds.",
            hint=f"Use {filled} at most." if filled > 1 else "Leave --folds out.",
        )
    _refuse_lost_classes(pool, numbers)
    never = int((numbers < 0).sum())
    if never:
        alone = [pool.classes[label] for label in np.unique(images.strata[numbers < 0]).tolist()]
        warning = (
            f"{pluralize(never, modality.singular)} of {join_truncated(alone)}, which cannot be divided, always "
            f"{'trains' if never == 1 else 'train'}: no fold measures {'it' if never == 1 else 'them'}."
        )
        logger.warning(warning)
        plan = dataclasses.replace(plan, warnings=(*plan.warnings, warning))
    folds: list[Fold] = []
    for number in range(count):
        pool, numbers = _without(pool, numbers, folds[-1].skipped if folds else ())
        held = numbers == number
        run, saved = folder / f"fold-{number + 1}", folder / FOLDS / f"{number + 1}.json"
        fold = _read(saved, run)
        if fold is None:
            logger.info(
                "Fold %d of %d: %s to train on, %d to validate.", number + 1, count,
                pluralize(int((~held).sum()), modality.singular), held.sum(),
            )  # fmt: skip
            part = dataclasses.replace(pool, splits={}, digests={}, warnings=())
            part = _with_split(_with_split(part, TRAIN, pool, ~held), VALIDATION, pool, held)
            fold = _train_fold(dataclasses.replace(plan, config=config, dataset=part, warnings=()), run, train)
            _write(saved, fold)
        folds.append(fold)
    pool, _ = _without(pool, numbers, folds[-1].skipped)
    logger.info("All %s.", pluralize(len(pool.splits[TRAIN].files), modality.singular))
    return dataclasses.replace(plan, dataset=pool, cross_validation=CrossValidation(tuple(folds)))


def _drop_unreadable_of_small(pool: Dataset, plan: TrainingPlan) -> Dataset:
    """Drop what cannot be decoded of classes so small that a fold might have nothing else of them to train on.

    What cannot be decoded of the others is found while their features are computed.
    """
    images, split = SplitData(pool, plan.preprocessor, plan.config.batch_size), pool.splits[TRAIN]
    counts = np.bincount(split.strata, minlength=len(pool.classes))
    small = np.flatnonzero(counts[split.strata] <= _SMALL_CLASS).tolist()
    failed = images.unreadable([split.files[number] for number in small])
    images.drop(TRAIN, [(small[position], reason) for position, reason in failed])
    return dataclasses.replace(
        pool,
        splits={**pool.splits, TRAIN: images.splits[TRAIN]},
        digests={**pool.digests, TRAIN: images.digests(TRAIN)},
        skipped=tuple(images.skipped),
    )


def _refuse_lost_classes(pool: Dataset, numbers: np.ndarray) -> None:
    images = pool.splits[TRAIN]
    if images.labels.ndim == 2:
        return  # a label that no image has can be trained on
    for fold in np.unique(numbers[numbers >= 0]).tolist():
        missing = np.setdiff1d(images.labels, images.labels[numbers != fold]).tolist()
        if missing:
            raise UsageError(
                f"--folds: all images of {join_truncated([pool.classes[label] for label in missing])} would be in one "
                "fold, because they share groups (or are copies), and nothing of them would be trained on.",
                hint="Use another --seed, or fewer folds.",
            )


def _deal(pool: Dataset, folds: int, seed: int) -> np.ndarray:
    """Return the fold of each image: those of one group, and copies of one image, are in one fold."""
    images = pool.splits[TRAIN]
    groups = unit_numbers(images.files, pool.digests[TRAIN], pool.groups)
    return fold_numbers(images.strata, folds, np.random.default_rng(seed), groups)


def _without(pool: Dataset, numbers: np.ndarray, skipped: Sequence[tuple[str, str]]) -> tuple[Dataset, np.ndarray]:
    """Drop images that could not be read, so that they are named once, from the pool and its folds."""
    if not skipped:
        return pool, numbers
    reasons = dict(skipped)
    rest = np.array([file not in reasons for file in pool.splits[TRAIN].files])
    pool = dataclasses.replace(pool, skipped=(*pool.skipped, *reasons.items()))
    return _with_split(pool, TRAIN, pool, rest), numbers[rest]


def _with_split(dataset: Dataset, name: str, pool: Dataset, chosen: np.ndarray) -> Dataset:
    """Return a dataset with one more split: some of the training images of a pool."""
    whole, rows = pool.splits[TRAIN], np.flatnonzero(chosen).tolist()
    split = Split(tuple(whole.files[row] for row in rows), whole.labels[rows])
    digests = [pool.digests[TRAIN][row] for row in rows]
    return dataclasses.replace(
        dataset, splits={**dataset.splits, name: split}, digests={**dataset.digests, name: digests}
    )


def _train_fold(plan: TrainingPlan, run: Path, train: Train) -> Fold:
    images = SplitData(plan.dataset, plan.preprocessor, plan.config.batch_size)
    try:
        run.mkdir(exist_ok=True)
    except OSError as error:
        raise RunError(f"Cannot write to the run folder {run}: {error.strerror}.") from error
    result = train(plan, images, run)
    found = result.evaluations[VALIDATION]
    return Fold(
        run,
        images.splits[VALIDATION].files,
        found.labels.tolist(),
        (found.probabilities if found.before is None else found.before).tolist(),
        found.accuracy,
        {phase.name: [dict(epoch) for epoch in phase.epochs] for phase in result.phases},
        result.chosen_on_validation,
        images.skipped[len(plan.dataset.skipped) :],
    )


def _write(path: Path, fold: Fold) -> None:
    try:
        path.parent.mkdir(exist_ok=True)
        with atomic_write(path) as part:
            part.write_text(json.dumps({**dataclasses.asdict(fold), "run": None}), "utf-8")
    except OSError as error:
        raise RunError(f"Cannot write the run {path.parent.parent}: {error.strerror}.") from error


def _read(path: Path, run: Path) -> Fold | None:
    """Return a complete fold of an interrupted run; None where it has to be trained."""
    if not path.exists() or not (run / RECORD).exists():
        if path.exists() or (run / RECORD).exists():  # lost since, or ended between its record and this file
            shutil.rmtree(run, ignore_errors=True)
        return None
    try:
        content: dict[str, Any] = json.loads(path.read_text("utf-8"))
        return Fold(**{**content, "run": run})
    except (OSError, ValueError, TypeError) as error:
        raise RunError(f"{path} cannot be read: {error}.", hint="Start a new run.") from error

"""Calibrate a finished classifier on its validation images."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from tlkit.analysis.calibration import FEWEST, calibrated_probabilities, fit_temperature, of_two
from tlkit.analysis.thresholds import choose_threshold
from tlkit.data.layout import VALIDATION
from tlkit.data.modality import Modality
from tlkit.reporting.metrics import Evaluation
from tlkit.reporting.multi_label import DEFAULT_THRESHOLD, MultiLabelEvaluation
from tlkit.utils.logging import logger
from tlkit.utils.text import pluralize


def calibrate(
    evaluations: Mapping[str, Evaluation], modality: Modality, *, seed: int
) -> tuple[float, dict[str, Evaluation]]:
    """Fit a temperature on validation, and apply it to every split; the accuracy does not change.

    Args:
        evaluations: By split; ``validation`` is one.
        modality: What was classified.
        seed: Draws the folds in which it has to prove itself.

    Returns:
        The temperature and the calibrated evaluations; 1 and the same ones where there are too few images, or nothing
        is gained.
    """
    fitted_on = evaluations[VALIDATION]
    images = pluralize(len(fitted_on.labels), f"validation {modality.singular}")
    temperature = _fit(fitted_on, seed)
    if temperature == 1:
        few = len(fitted_on.labels) < FEWEST
        why = f"{images} are too few (it takes {FEWEST})" if few else f"no temperature proves better on {images}"
        logger.info("Probabilities are not calibrated: %s.", why)
        return 1.0, dict(evaluations)
    calibrated = {
        split: dataclasses.replace(
            evaluation,
            probabilities=calibrated_probabilities(
                evaluation.probabilities, temperature, multi_label=evaluation.labels.ndim == 2
            ),
            temperature=temperature,
            before=evaluation.probabilities,
        )
        for split, evaluation in evaluations.items()
    }
    logger.info(
        "Probabilities are calibrated by a temperature of %.2f, fitted on %s: cross-entropy %.4f → %.4f.",
        temperature, images, fitted_on.cross_entropy, calibrated[VALIDATION].cross_entropy,
    )  # fmt: skip
    return temperature, calibrated


def _fit(evaluation: Evaluation, seed: int) -> float:
    probabilities, labels = evaluation.probabilities, evaluation.labels
    if labels.ndim == 1:
        return fit_temperature(probabilities, labels, seed=seed)
    if len(labels) < FEWEST:
        return 1.0
    return fit_temperature(of_two(probabilities.ravel()), labels.ravel().astype(np.int64), seed=seed)


def with_thresholds(
    evaluations: Mapping[str, Evaluation], *, seed: int
) -> tuple[tuple[float, ...], dict[str, Evaluation]]:
    """Choose the threshold of each label on validation, for the best F1.

    Args:
        evaluations: By split; ``validation`` is one. Calibrated.
        seed: Draws the folds in which thresholds have to prove themselves.

    Returns:
        The thresholds, and the evaluations with them: each image of ``validation`` with those that were chosen on
        others. None and the same ones where an image has one label.
    """
    chosen_on = evaluations[VALIDATION]
    if not isinstance(chosen_on, MultiLabelEvaluation):
        return (), dict(evaluations)
    columns = zip(chosen_on.labels.T, chosen_on.probabilities.T, strict=True)
    chosen = [choose_threshold(labels, scores, DEFAULT_THRESHOLD, seed=seed) for labels, scores in columns]
    thresholds = tuple(threshold for threshold, _ in chosen)
    found = {
        split: dataclasses.replace(evaluation, thresholds=thresholds)
        for split, evaluation in evaluations.items()
        if isinstance(evaluation, MultiLabelEvaluation)
    }
    found[VALIDATION] = dataclasses.replace(found[VALIDATION], apart=np.stack([apart for _, apart in chosen], axis=1))
    return thresholds, dict(found)

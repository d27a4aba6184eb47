"""Calibrate a finished classifier on its validation images."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from tlkit.analysis.calibration import FEWEST, apply_temperature, fit_temperature
from tlkit.data.layout import VALIDATION
from tlkit.data.modality import Modality
from tlkit.reporting.metrics import Evaluation
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
    temperature = fit_temperature(fitted_on.probabilities, fitted_on.labels, seed=seed)
    if temperature == 1:
        few = len(fitted_on.labels) < FEWEST
        why = f"{images} are too few (it takes {FEWEST})" if few else f"no temperature proves better on {images}"
        logger.info("Probabilities are not calibrated: %s.", why)
        return 1.0, dict(evaluations)
    calibrated = {
        split: dataclasses.replace(
            evaluation,
            probabilities=apply_temperature(evaluation.probabilities, temperature),
            temperature=temperature,
            before=evaluation.probabilities,
        )
        for split, evaluation in evaluations.items()
    }
    logger.info(
        "Probabilities are calibrated by a temperature of %.2f, fitted on %s: expected calibration error %.3f → %.3f.",
        temperature, images, fitted_on.calibration_error, calibrated[VALIDATION].calibration_error,
    )  # fmt: skip
    return temperature, calibrated

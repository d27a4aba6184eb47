"""Probabilities that mean something: a temperature for a classifier that is too sure, or not sure enough."""

from __future__ import annotations

import numpy as np

FEWEST = 20
"""Images below which nothing can be said about how sure a classifier should be."""
_FOLDS = 5
LEAST = 1e-30
LEAST_OF_TWO = 3e-8
"""What float32 leaves of 1 minus a probability close to 1."""
_BOUNDS = (-3.0, 3.0)
"""Natural logarithms of the temperatures that are tried."""


def apply_temperature(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Return the softmax of the logits divided by a temperature; the order of the classes stays.

    Args:
        probabilities: ``(…, classes)`` float, 0 to 1: the softmax of the logits.
        temperature: Above 0; above 1 makes them less sure. 1 changes nothing.

    Returns:
        ``(…, classes)``, of the dtype of ``probabilities``.
    """
    if temperature == 1:
        return probabilities
    logits = np.log(np.maximum(probabilities.astype(np.float64), LEAST)) / temperature
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True)).astype(probabilities.dtype)


def of_two(probabilities: np.ndarray) -> np.ndarray:
    """Return ``(…, 2)`` float64, the probability that a label is not given and that it is, for ``(…)`` of the second.

    So a temperature applies to labels that do not exclude each other.
    """
    given = np.minimum(probabilities.astype(np.float64), 1 - LEAST_OF_TWO)
    return np.stack([1 - given, given], axis=-1)


def calibrated_probabilities(probabilities: np.ndarray, temperature: float, *, multi_label: bool) -> np.ndarray:
    """Return probabilities with their logits divided by a temperature.

    Args:
        probabilities: ``(…, classes)`` float, 0 to 1.
        temperature: Above 0; 1 changes nothing.
        multi_label: Each is of a label by itself; otherwise their sum is 1.
    """
    if temperature == 1 or not multi_label:
        return apply_temperature(probabilities, temperature)
    found: np.ndarray = apply_temperature(of_two(probabilities), temperature)[..., 1].astype(probabilities.dtype)
    return found


def fit_temperature(probabilities: np.ndarray, labels: np.ndarray, *, seed: int = 0) -> float:
    """Fit the temperature with the least cross-entropy on images that the classifier was not trained on.

    Source: Guo et al., On Calibration of Modern Neural Networks (2017). As in Platt's scaling, each label counts as
    slightly uncertain, so that a classifier without an error is not made infinitely sure.

    Args:
        probabilities: ``(images, classes)`` float, 0 to 1.
        labels: ``(images,)`` int64.
        seed: Draws the folds in which the fit has to prove itself.

    Returns:
        The temperature; 1 for fewer than :data:`FEWEST` images, and where fitted ones do not lower the cross-entropy of
        the images that they were not fitted on.
    """
    if len(labels) < FEWEST:
        return 1.0
    logits = np.log(np.maximum(probabilities.astype(np.float64), LEAST))
    folds = np.random.default_rng(seed).permutation(len(labels)) % _FOLDS
    held = 0.0
    for fold in range(_FOLDS):
        fitted = _fit(logits[folds != fold], labels[folds != fold])
        part = logits[folds == fold], labels[folds == fold]
        held += len(part[1]) * (_cross_entropy(*part, fitted, 0.0) - _cross_entropy(*part, 1.0, 0.0))
    return _fit(logits, labels) if held < 0 else 1.0


def _fit(logits: np.ndarray, labels: np.ndarray) -> float:
    from scipy.optimize import minimize_scalar

    unsure = 1 / (len(labels) + 2)
    found = minimize_scalar(
        lambda log: _cross_entropy(logits, labels, float(np.exp(log)), unsure), bounds=_BOUNDS, method="bounded"
    )
    return float(np.exp(found.x))


def _cross_entropy(logits: np.ndarray, labels: np.ndarray, temperature: float, unsure: float) -> float:
    """Return the mean cross-entropy; a share ``unsure`` of each label is spread over all classes."""
    scaled = logits / temperature
    scaled = scaled - scaled.max(axis=1, keepdims=True)
    logarithms = scaled - np.log(np.exp(scaled).sum(axis=1, keepdims=True))
    expected = (1 - unsure) * logarithms[np.arange(len(labels)), labels] + unsure * logarithms.mean(axis=1)
    return -float(expected.mean())

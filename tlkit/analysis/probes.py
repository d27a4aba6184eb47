"""Linear probes on features: how well a network's features separate classes, and whether one's do better."""

from __future__ import annotations

import math

import numpy as np

from tlkit.analysis.logistic_regression import cross_validate, fold_numbers

_CONFIDENCE = 0.95


def draw_folds(
    labels: np.ndarray, folds: int, repeats: int, groups: np.ndarray | None = None, *, seed: int = 0
) -> np.ndarray:
    """Draw stratified folds, several times.

    Args:
        labels: ``(images,)`` int64.
        folds: Number of folds.
        repeats: How often.
        groups: ``(images,)`` int64; images of one group are in one fold.
        seed: Draws them.

    Returns:
        ``(repeats, images)`` int64, as of :func:`tlkit.analysis.logistic_regression.fold_numbers`.
    """
    random = np.random.default_rng(seed)
    return np.stack([fold_numbers(labels, folds, random, groups) for _ in range(repeats)])


def probe(features: np.ndarray, labels: np.ndarray, classes: int, folds: np.ndarray) -> np.ndarray:
    """Return the accuracy of a linear classifier on each fold, fitted on the others.

    Args:
        features: ``(images, features)`` float32.
        labels: ``(images,)`` int64.
        classes: Number of classes.
        folds: ``(repeats, images)`` int64.

    Returns:
        ``(repeats · folds,)`` 0 to 1, repeat by repeat.
    """
    accuracies = []
    for numbers in folds:
        right = cross_validate(features, labels, classes, folds=numbers).argmax(axis=1) == labels
        accuracies += [right[numbers == number].mean() for number in np.unique(numbers[numbers >= 0])]
    return np.array(accuracies)


def mean_interval(values: np.ndarray, folds: int, images: int) -> tuple[float, float]:
    """Return the 95% confidence interval of a mean over repeated folds: those share most of their training images.

    Source: Nadeau and Bengio, Inference for the Generalization Error (2003): the corrected resampled t-test. Where all
    folds agree, the interval is that of as many images without an error (or without a success): the rule of three.

    Args:
        values: ``(repeats · folds,)`` accuracies, or differences of two.
        folds: Number of folds.
        images: Number of images.
    """
    from scipy.stats import t

    mean, spread = float(values.mean()), _corrected_error(values, folds)
    half = float(t.ppf((1 + _CONFIDENCE) / 2, len(values) - 1)) * spread if spread else 3 / images
    return mean - half, mean + half


def difference_p_value(first: np.ndarray, second: np.ndarray, folds: int) -> float:
    """Return how likely so large a difference of two means is, if both are equally good; 0 to 1, two-sided.

    Args:
        first: ``(repeats · folds,)`` accuracies on folds.
        second: The same of another classifier on the same folds.
        folds: Number of folds.
    """
    from scipy.stats import t

    spread = _corrected_error(first - second, folds)
    mean = float((first - second).mean())
    if not spread:
        return 1.0 if not mean else 0.0
    return float(2 * t.sf(abs(mean) / spread, len(first) - 1))


def _corrected_error(values: np.ndarray, folds: int) -> float:
    """Standard error of the mean; each fold is tested on 1 / (folds - 1) of the images that it is fitted on."""
    return math.sqrt((1 / len(values) + 1 / (folds - 1)) * float(values.var(ddof=1)))

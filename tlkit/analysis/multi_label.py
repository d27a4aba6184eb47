"""Several labels an image: how well scores rank the images of a class, and where to draw the line."""

from __future__ import annotations

import numpy as np

FEWEST = 5
"""Images with a label below which its threshold stays at :data:`DEFAULT_THRESHOLD`."""
DEFAULT_THRESHOLD = 0.5
_RESAMPLED = 200


def average_precision(labels: np.ndarray, scores: np.ndarray) -> float | None:
    """Return the mean precision at the images that have a label, ranked by their scores, 0 to 1.

    As scikit-learn's: equal scores are one place in the ranking, and nothing is interpolated.

    Args:
        labels: ``(images,)`` bool.
        scores: ``(images,)`` float.

    Returns:
        None where no image has the label.
    """
    if not labels.any():
        return None
    return float(_average_precisions(labels, scores, np.ones((len(labels), 1)))[0])


def mean_average_precision_interval(
    labels: np.ndarray, scores: np.ndarray, *, seed: int = 0
) -> tuple[float, float] | None:
    """Return the 95% bootstrap interval of the mean average precision over classes, 0 to 1.

    Args:
        labels: ``(images, classes)`` bool.
        scores: ``(images, classes)`` float.
        seed: Draws the images of each resampling.

    Returns:
        None where no image has a label.
    """
    measured = np.flatnonzero(labels.any(axis=0)).tolist()
    if not measured:
        return None
    images = len(labels)
    counts = np.random.default_rng(seed).multinomial(images, np.full(images, 1 / images), _RESAMPLED).T
    each = np.stack([_average_precisions(labels[:, one], scores[:, one], counts) for one in measured])
    with np.errstate(invalid="ignore"):
        means = np.nanmean(each, axis=0)  # a resampling may have no image of a class
    low, high = np.nanpercentile(means, (2.5, 97.5))
    return float(low), float(high)


def _average_precisions(labels: np.ndarray, scores: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the average precision for each column of how often an image counts; NaN where none has the label."""
    order = np.argsort(-scores, kind="stable")
    has, drawn = labels[order, np.newaxis], counts[order]
    found, ranked = np.cumsum(has * drawn, axis=0), np.cumsum(drawn, axis=0)
    last = np.searchsorted(-scores[order], -scores[order], side="right") - 1  # of equal scores
    precision = found[last] / np.maximum(ranked[last], 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((precision * has * drawn).sum(axis=0) / found[-1])


def best_threshold(labels: np.ndarray, scores: np.ndarray) -> float:
    """Return the score from which on a label should be given, for the best F1.

    Source: Lipton, Elkan and Naryanaswamy, Optimal Thresholding of Classifiers to Maximize F1 Measure (2014).

    Args:
        labels: ``(images,)`` bool.
        scores: ``(images,)`` float, 0 to 1, of images that the classifier was not trained on.

    Returns:
        Between the scores of two images, 0 to 1; :data:`DEFAULT_THRESHOLD` where fewer than :data:`FEWEST` images have
        the label, or all of them.
    """
    if labels.sum() < FEWEST or labels.all():
        return DEFAULT_THRESHOLD
    order = np.argsort(-scores, kind="stable")
    ranked, has = scores[order].astype(np.float64), labels[order]
    f1 = 2 * np.cumsum(has) / (np.arange(1, len(has) + 1) + labels.sum())
    ends = np.append(ranked[1:] < ranked[:-1], True)  # no line is drawn between equal scores
    best = np.flatnonzero(ends & (f1 >= f1[ends].max() - 1e-12))
    # of the thresholds that are as good, the one nearest to the default
    lines = [(ranked[place] + (ranked[place + 1] if place + 1 < len(ranked) else 0.0)) / 2 for place in best.tolist()]
    return float(min(lines, key=lambda line: abs(line - DEFAULT_THRESHOLD)))

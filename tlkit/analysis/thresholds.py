"""Where to draw the line for a label that an image may have beside others."""

from __future__ import annotations

import numpy as np

FEWEST = 5
"""Images with a label below which its threshold stays where it is."""
_FOLDS = 5


def best_threshold(labels: np.ndarray, scores: np.ndarray, default: float) -> float:
    """Return the score from which on a label should be given, for the best F1.

    Source: Lipton, Elkan and Naryanaswamy, Optimal Thresholding of Classifiers to Maximize F1 Measure (2014).

    Args:
        labels: ``(images,)`` bool.
        scores: ``(images,)`` float, 0 to 1, of images that the classifier was not trained on.
        default: The threshold of a label that these images say too little about.

    Returns:
        Between the scores of two images, 0 to 1; ``default`` where that is as good, and where fewer than :data:`FEWEST`
        images have the label, or all of them.
    """
    if labels.sum() < FEWEST or labels.all():
        return default
    order = np.argsort(-scores, kind="stable")
    ranked, has = scores[order].astype(np.float64), labels[order]
    f1 = 2 * np.cumsum(has) / (np.arange(1, len(has) + 1) + labels.sum())
    ends = np.append(ranked[1:] < ranked[:-1], True)  # no line is drawn between equal scores
    best = np.flatnonzero(ends & (f1 >= f1[ends].max() - 1e-12))
    gaps = [(ranked[place + 1] if place + 1 < len(ranked) else 0.0, ranked[place]) for place in best.tolist()]
    if any(low < default <= high for low, high in gaps):
        return default
    # of the thresholds that are as good, the one nearest to the default
    return float(min(((low + high) / 2 for low, high in gaps), key=lambda line: abs(line - default)))


def choose_threshold(
    labels: np.ndarray, scores: np.ndarray, default: float, *, seed: int = 0
) -> tuple[float, np.ndarray]:
    """Choose the threshold of a label, if it proves better than the default on images that it was not chosen on.

    Args:
        labels: As for :func:`best_threshold`, as the other arguments.
        scores: Of the images.
        default: The threshold where no other proves better.
        seed: Draws the folds in which it has to.

    Returns:
        The threshold, and for each image, ``(images,)`` float64, the one that was chosen on other images: what it gives
        there measures it.
    """
    folds = np.random.default_rng(seed).permutation(len(labels)) % _FOLDS
    apart = np.full(len(labels), default)
    for fold in range(_FOLDS):
        kept = folds != fold
        apart[~kept] = best_threshold(labels[kept], scores[kept], default) if kept.any() else default
    if _f1(labels, scores >= apart) <= _f1(labels, scores >= default):
        return default, np.full(len(labels), default)
    return best_threshold(labels, scores, default), apart


def _f1(labels: np.ndarray, given: np.ndarray) -> float:
    return float(2 * (labels & given).sum() / max(labels.sum() + given.sum(), 1))

"""Find labels that are probably wrong."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tlkit.analysis.logistic_regression import cross_validate, fit_logistic_regression, fold_numbers, one_hot

MARGIN = 0.65
"""By how much another class must be more probable than the label."""
_DOUBTFUL = 0.3
"""By how much another class may be more probable for an image to train the classifier that decides."""
_FOLDS = 5
_EXACT, _COMPONENTS = 2_000, 256
"""Images above which so many principal components stand for the features."""
_TO_CHOOSE = 1_000
"""Images that the strength of the penalty is chosen on, at most."""


@dataclass(frozen=True)
class LabelError:
    """A label that is probably wrong.

    Attributes:
        image: Number of the image.
        suggested: The class that it probably is.
        score: By how much that class is more probable than the label, :data:`MARGIN` to 1.
    """

    image: int
    suggested: int
    score: float


def find_label_errors(
    features: np.ndarray, labels: np.ndarray, classes: int, groups: np.ndarray | None = None, *, seed: int = 0
) -> list[LabelError]:
    """Find images that a linear classifier, trained on the others, is sure to be of another class.

    Twice: what looks wrong the first time trains nobody the second time, so that many wrong labels do not vouch for
    each other. Source of the idea: Northcutt et al., Confident Learning (2021).

    Args:
        features: ``(images, features)`` float32.
        labels: ``(images,)`` int64; every class occurs.
        classes: Number of classes.
        groups: ``(images,)`` int64; copies of one image, which have one number, do not vouch for each other.
        seed: Draws the folds.

    Returns:
        The most suspicious first.
    """
    features = _reduced(features)
    random = np.random.default_rng(seed)
    folds = fold_numbers(labels, _FOLDS, random, groups)
    order = random.permutation(len(labels))

    def probabilities(trusted: np.ndarray) -> np.ndarray:
        chosen = np.sort(order[trusted[order]][:_TO_CHOOSE])
        strength = fit_logistic_regression(
            features[chosen], one_hot(labels[chosen], classes),
            groups=None if groups is None else groups[chosen], seed=seed,
        ).strength  # fmt: skip
        return cross_validate(features, labels, classes, folds=folds, strength=strength, trusted=trusted)

    margins, _ = _margins(probabilities(np.ones(len(labels), bool)), labels)
    trusted = margins < _DOUBTFUL
    for label in range(classes):  # a class keeps at least half of its images, whatever they look like
        own = labels == label
        if trusted[own].sum() < own.sum() / 2:
            trusted[own] = True
    margins, suggested = _margins(probabilities(trusted), labels)
    found = np.flatnonzero(margins >= MARGIN)
    found = found[np.argsort(-margins[found], kind="stable")]
    return [LabelError(int(image), int(suggested[image]), float(margins[image])) for image in found]


def _reduced(features: np.ndarray) -> np.ndarray:
    """Return many images' principal components: a fifth of the time, for the same errors."""
    if len(features) <= _EXACT:
        return features
    centred = features - features.mean(axis=0, dtype=np.float64).astype(np.float32)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    return np.ascontiguousarray(centred @ vectors[:, -_COMPONENTS:])


def _margins(probabilities: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return by how much the most probable other class exceeds the label, and which class that is."""
    rows = np.arange(len(labels))
    others = probabilities.copy()
    others[rows, labels] = -1
    suggested = others.argmax(axis=1)
    return others[rows, suggested] - probabilities[rows, labels], suggested

"""Is an image unlike everything that a classifier was trained on?"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

TURNED_AWAY = 0.05
"""Share of images of known classes that the threshold turns away."""
_MOST_IMAGES = 1000
"""Images that the covariance is computed from, at most."""
_MOST_DIRECTIONS = 128
"""Directions of most variance that are kept; in the others the variance counts as their mean."""


@dataclass(frozen=True)
class ClassDistances:
    """How far features of one layer are from those of the nearest class.

    Source: Lee et al., A Simple Unified Framework for Detecting Out-of-Distribution Samples (2018): the Mahalanobis
    distance, of features of length 1, with a covariance that all classes share, shrunk by its mean variance.

    Attributes:
        means: ``(classes, features)`` float32.
        directions: ``(directions, features)`` float32, orthonormal.
        shares: ``(directions,)`` float32: how much of a squared distance along each does not count, 0 to 1.
        typical: Distance of a typical image of a known class that was not trained on.
    """

    means: np.ndarray
    directions: np.ndarray
    shares: np.ndarray
    typical: float = 1.0

    @classmethod
    def fit(cls, features: np.ndarray, labels: np.ndarray, *, seed: int) -> ClassDistances:
        """Fit to ``(images, features)`` float32 of training images and their labels."""
        features = _of_length_1(features)
        # a class without an image must not have a mean of zeros: everything is as near to that
        present, labels = np.unique(labels, return_inverse=True)
        sums = np.zeros((len(present), features.shape[1]))
        np.add.at(sums, labels, features)
        counts = np.bincount(labels)
        means = (sums / counts[:, None]).astype(np.float32)
        chosen = np.sort(np.random.default_rng(seed).permutation(len(labels))[:_MOST_IMAGES])
        _, singular, directions = np.linalg.svd(features[chosen] - means[labels[chosen]], full_matrices=False)
        variances = singular**2 / len(chosen)
        mean = float(variances.sum()) / features.shape[1]
        kept = slice(min(_MOST_DIRECTIONS, int((variances > mean * 1e-3).sum())))
        return cls(means, directions[kept], variances[kept] / (variances[kept] + mean))

    def of(self, features: np.ndarray) -> np.ndarray:
        """Return ``(images,)`` float32, 1 for a typical image of a known class, for ``(images, features)`` float32."""
        features = _of_length_1(features)
        squares = _squared_distances(features, self.means)
        weighted = (self.directions * np.sqrt(self.shares)[:, None]).T
        squares -= _squared_distances(features @ weighted, self.means @ weighted)
        return np.asarray(np.sqrt(np.maximum(squares.min(axis=1), 0)) / np.float32(self.typical))


def _of_length_1(features: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return np.asarray(features / np.maximum(lengths, np.float32(1e-12)))


def _squared_distances(rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    squares = np.square(rows).sum(axis=1)[:, None] - 2 * rows @ others.T + np.square(others).sum(axis=1)
    return np.asarray(squares)


@dataclass(frozen=True)
class UnknownDetector:
    """What tells images of known classes from others, by the features of a few layers.

    Attributes:
        layers: The distances of each layer.
        threshold: The sum of the distances above which an image is unknown.
    """

    layers: tuple[ClassDistances, ...]
    threshold: float

    def scores(self, features: Sequence[np.ndarray]) -> np.ndarray:
        """Return how strange images are: ``(images,)`` float32; above 1 they are unknown.

        Args:
            features: Of each layer, ``(images, features)`` float32.
        """
        each = [layer.of(found) for layer, found in zip(self.layers, features, strict=True)]
        return np.asarray(np.sum(each, axis=0) / np.float32(self.threshold))


def fit_unknown(
    train: Sequence[np.ndarray], labels: np.ndarray, held_out: Sequence[np.ndarray], *, seed: int = 0
) -> UnknownDetector:
    """Learn what known classes look like.

    Args:
        train: Features of each layer of training images, ``(images, features)`` float32.
        labels: ``(images,)`` int64 of the training images.
        held_out: The same layers of images of known classes that were not trained on, at least one. The threshold
            turns :data:`TURNED_AWAY` of them away, as far as their number allows; 20 place it within all of them.
        seed: Draws the images that the covariance is computed from.
    """
    layers = []
    for features, held in zip(train, held_out, strict=True):
        distances = ClassDistances.fit(features, labels, seed=seed)
        typical = float(np.median(distances.of(held))) or 1.0
        layers.append(dataclasses.replace(distances, typical=typical))
    scores = np.sort(UnknownDetector(tuple(layers), 1.0).scores(held_out))
    place = min(math.ceil((1 - TURNED_AWAY) * (len(scores) + 1)), len(scores))
    return UnknownDetector(tuple(layers), float(scores[place - 1]) or 1.0)


def fit_unknown_as(
    others: Sequence[UnknownDetector], train: Sequence[np.ndarray], labels: np.ndarray, *, seed: int = 0
) -> UnknownDetector:
    """Learn what known classes look like where no image is left out of training.

    Args:
        others: What networks learned that were trained alike on folds of the images: theirs are the thresholds.
        train: As for :func:`fit_unknown`, as the other arguments.
        labels: Of the images.
        seed: Draws the images that the covariance is computed from.
    """
    typical = np.median([[layer.typical for layer in other.layers] for other in others], axis=0).tolist()
    layers = [
        dataclasses.replace(ClassDistances.fit(features, labels, seed=seed), typical=distance)
        for features, distance in zip(train, typical, strict=True)
    ]
    return UnknownDetector(tuple(layers), float(np.median([other.threshold for other in others])))


def auroc(known: np.ndarray, foreign: np.ndarray) -> float:
    """Return the area under the ROC curve: how often a foreign image is stranger than a known one, 0 to 1.

    Args:
        known: ``(images,)`` scores of images of known classes.
        foreign: ``(images,)`` scores of others.
    """
    from scipy.stats import rankdata

    ranks = rankdata(np.concatenate([known, foreign]))[len(known) :]
    wins = ranks.sum() - len(foreign) * (len(foreign) + 1) / 2
    return float(wins / (len(known) * len(foreign)))

"""Find images that are like none of their class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_NEIGHBOURS = 3
_FEWEST = 8
"""Images of a class below which nothing is typical of it."""
_FAR = 3.0
"""Interquartile ranges above the upper quartile from which on a distance is far out (Tukey 1977)."""


@dataclass(frozen=True)
class Outlier:
    """An image that is like none of its class.

    Attributes:
        image: Number of the image.
        score: How far its nearest neighbours are, in interquartile ranges above the upper quartile; above 3.
    """

    image: int
    score: float


def find_outliers(features: np.ndarray, labels: np.ndarray, groups: np.ndarray | None = None) -> list[Outlier]:
    """Find images whose nearest neighbours of their class are much further away than is usual in it.

    Args:
        features: ``(images, features)`` float32.
        labels: ``(images,)`` int64.
        groups: ``(images,)`` int64; copies of one image, which have one number, are no neighbours.

    Returns:
        The strangest first.
    """
    vectors = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    found: list[Outlier] = []
    for label in np.unique(labels):
        own = np.flatnonzero(labels == label)
        if len(own) < _FEWEST:
            continue
        distances = np.concatenate(
            [
                _to_neighbours(
                    vectors[part], vectors[own], None if groups is None else (groups[part], groups[own]), part, own
                )
                for part in np.array_split(own, max(1, len(own) // 1024))
            ]
        )
        low, high = np.quantile(distances, (0.25, 0.75))
        scores = (distances - high) / max(high - low, 1e-3)
        found += [Outlier(int(own[place]), float(scores[place])) for place in np.flatnonzero(scores > _FAR)]
    return sorted(found, key=lambda outlier: -outlier.score)


def _to_neighbours(
    rows: np.ndarray,
    others: np.ndarray,
    groups: tuple[np.ndarray, np.ndarray] | None,
    numbers: np.ndarray,
    other_numbers: np.ndarray,
) -> np.ndarray:
    distances = 1 - rows @ others.T
    same = numbers[:, None] == other_numbers if groups is None else groups[0][:, None] == groups[1]
    distances[same | (numbers[:, None] == other_numbers)] = 2
    return np.asarray(np.sort(distances, axis=1)[:, :_NEIGHBOURS].mean(axis=1))

"""Find images that are copies of each other, though not byte for byte."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from tlkit.analysis.alignment import Aligner, signatures
from tlkit.utils.interrupt import raise_if_interrupted
from tlkit.utils.processors import compute_threads

_ROWS = 1024
"""Rows of a matrix of similarities that are in memory at once."""
_NEIGHBOURS = 6
"""Most similar images that are looked at, of each kind of similarity."""
_CORRELATED, _SIMILAR = 0.7, 0.9
"""Least correlation of coarse pixels, and least cosine of features, of images that are looked at."""
_ALIGNED = 3
"""Pairs of an image that are aligned, at most."""
_ROUGH = 0.6
"""Least correlation of the detail of images that are aligned."""
_OUTSTANDING = 0.25
"""Where a pair differs by less than this share of what the next best pairs of its images do, it stands out."""


@dataclass(frozen=True)
class Pair:
    """Two images that are copies of each other.

    Attributes:
        first: Number of one.
        second: Number of the other, larger than ``first``.
        similarity: Of their aligned pixels, 0 to 1.
    """

    first: int
    second: int
    similarity: float


def near_duplicates(thumbnails: np.ndarray, features: np.ndarray) -> list[Pair]:
    """Find pairs of images of which one is the other recompressed, resized, cropped by a few percent or mirrored.

    Pairs that are similar as coarse thumbnails, mirrored or not, or in features, are aligned and compared pixel by
    pixel. They count as copies where they are as good as equal, or where they are much more alike than either of them
    is to any other image: of blurred copies of a photograph nothing else is near, of digits something always is.

    Args:
        thumbnails: ``(images, SIDE, SIDE)`` uint8, of :data:`tlkit.analysis.alignment.SIDE`.
        features: ``(images, features)`` float32, pooled features of a network.

    Returns:
        The pairs, in order; time grows with the square of the number of images, memory with the number.
    """
    partners = _partners(thumbnails, features)
    aligner = Aligner(thumbnails)
    rough: dict[tuple[int, int], tuple[float, int, int, int, bool]] = {}
    numbers = [number for number, others in enumerate(partners) if others]
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(compute_threads()) as pool:
        searched = pool.map(
            lambda number: list(aligner.rough_matches(number, np.array(sorted(partners[number])))), numbers
        )
        for number, matches in zip(numbers, searched, strict=True):
            raise_if_interrupted()
            for other, (detail, window, mirrored) in zip(sorted(partners[number]), matches, strict=True):
                pair = min(number, other), max(number, other)
                rough[pair] = max(rough.get(pair, (-1.0, 0, 0, 0, False)), (detail, number, other, window, mirrored))
        chosen = {pair: rough[pair] for pair in _best_pairs(rough) if rough[pair][0] >= _ROUGH}
        aligned = dict(
            zip(
                chosen,
                pool.map(lambda found: aligner.match(*found[1:4], mirrored=found[4]), chosen.values()),
                strict=True,
            )
        )
    by_image: dict[int, list[tuple[float, tuple[int, int]]]] = {}
    for pair, (detail, *_) in rough.items():
        match = aligned.get(pair)
        for number in pair:
            by_image.setdefault(number, []).append((match.detail if match else detail, pair))
    third = {number: sorted(found, reverse=True)[:4] for number, found in by_image.items()}
    pairs = []
    for pair, match in sorted(aligned.items()):
        if match is None:
            continue
        # the two next best may be copies too
        others = [[detail for detail, its in third[number] if its != pair][2:3] for number in pair]
        next_best = max((detail for found in others for detail in found), default=0.0)
        outstanding = 1 - match.detail < _OUTSTANDING * (1 - next_best)
        equal = match.detail >= 0.985 and match.whole >= 0.995
        alike = (match.detail >= 0.8 and match.whole >= 0.93) or (match.detail >= 0.7 and match.whole >= 0.995)
        if equal or (alike and outstanding):
            pairs.append(Pair(*pair, match.whole))
    return pairs


def _best_pairs(rough: Mapping[tuple[int, int], tuple[float, int, int, int, bool]]) -> set[tuple[int, int]]:
    """Return the pairs that are among the best of one of their images."""
    by_image: dict[int, list[tuple[float, tuple[int, int]]]] = {}
    for pair, (detail, *_) in rough.items():
        for number in pair:
            by_image.setdefault(number, []).append((detail, pair))
    return {pair for found in by_image.values() for _, pair in heapq.nlargest(_ALIGNED, found)}


def _partners(thumbnails: np.ndarray, features: np.ndarray) -> list[set[int]]:
    """Return the numbers of the images that each image is compared with; if one has another, that one has it."""
    partners: list[set[int]] = [set() for _ in thumbnails]
    coarse = signatures(thumbnails)
    vectors = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    for rows, columns, least in (
        (coarse, coarse, _CORRELATED),
        (coarse, signatures(thumbnails, mirrored=True), _CORRELATED),
        (vectors, vectors, _SIMILAR),
    ):
        for start in range(0, len(rows), _ROWS):
            raise_if_interrupted()
            similar = rows[start : start + _ROWS] @ columns.T
            inside = np.arange(len(similar))
            similar[inside, start + inside] = -1
            nearest = np.argpartition(-similar, min(_NEIGHBOURS, len(rows)) - 1, axis=1)[:, :_NEIGHBOURS]
            for row, others in enumerate(nearest):
                for other in others[similar[row, others] >= least].tolist():
                    partners[start + row].add(other)
                    partners[other].add(start + row)
    return partners


def groups_of(pairs: Iterable[tuple[int, int]]) -> list[list[int]]:
    """Join pairs that share an image into groups, each in order."""
    group_of: dict[int, list[int]] = {}
    for first, second in pairs:
        one, other = group_of.setdefault(first, [first]), group_of.setdefault(second, [second])
        if one is not other:
            one += other
            for number in other:
                group_of[number] = one
    return sorted(sorted(group) for group in {id(group): group for group in group_of.values()}.values())


def group_numbers(images: int, groups: Sequence[Sequence[int]]) -> np.ndarray:
    """Return ``(images,)`` int64: images of one group have one number, all others their own."""
    numbers = np.arange(images)
    for group in groups:
        numbers[list(group)] = group[0]
    return numbers

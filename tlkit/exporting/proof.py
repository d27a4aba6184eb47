"""Prove an exported file: run it in its own runtime, on real images, against what it was made from."""

from __future__ import annotations

import copy
import dataclasses
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tlkit.exporting.images import LoadedImages
from tlkit.inference.base import Engine, run
from tlkit.inference.exported.engines import Run
from tlkit.reporting.metrics import wilson_interval
from tlkit.training.classifier import Classifier
from tlkit.utils.text import pluralize

LARGEST_DIFFERENCE = 1e-4
"""Of a probability, that float32 may have: rounding in another order."""
PATTERNS = "patterns made by tlkit"
_RESIZED = 50
"""Images that a file that resizes is tried on."""
_TURNS, _OF_A_TURN, _PAUSE = 8, 6, 0.02
"""Turns that runtimes are timed in, images of each, and seconds before it: threads of onnxruntime spin for a while."""


@dataclass(frozen=True)
class Proof:
    """How an exported file compares with what it was made from.

    Attributes:
        images: Number of images.
        on: What they are.
        max_difference: Largest difference of a probability, 0 to 1.
        mean_difference: Mean of them, 0 to 1.
        top1_agreement: Share of the images whose most probable class is the same, 0 to 1.
        changed: Paths of images whose class changed, other than between equals.
        pattern_difference: Largest difference of a probability of coloured patterns, 0 to 1: where all images are grey,
            they do not show that channels have changed places.
        worst: Paths of the images that differ most, and by how much.
        accuracy: Of what it was made from and of the file, 0 to 1; None without labels.
        ms_per_image: Milliseconds for one image in the file's runtime: the median.
        resize_difference: Largest difference of a probability where the file itself resizes, to images that tlkit
            resizes, 0 to 1; None where it does not resize.
        tolerance: The difference of a probability that rounding may make, 0 to 1.
        resize_tolerance: The same where the file resizes, which rounds to whole levels.
    """

    images: int
    on: str
    max_difference: float
    mean_difference: float
    top1_agreement: float
    changed: tuple[str, ...]
    pattern_difference: float
    worst: tuple[tuple[str, float], ...]
    accuracy: tuple[float, float] | None
    ms_per_image: float
    resize_difference: float | None = None
    tolerance: float = LARGEST_DIFFERENCE
    resize_tolerance: float = LARGEST_DIFFERENCE

    @property
    def intervals(self) -> tuple[tuple[float, float], tuple[float, float]] | None:
        """95% confidence intervals of the accuracies, 0 to 1."""
        if self.accuracy is None:
            return None
        before, after = (wilson_interval(share, self.images) for share in self.accuracy)
        return before, after

    @property
    def is_equal(self) -> bool:
        """Nothing differs by more than rounding."""
        resizes = self.resize_difference is None or self.resize_difference <= self.resize_tolerance
        return max(self.max_difference, self.pattern_difference) <= self.tolerance and not self.changed and resizes

    @property
    def is_finite(self) -> bool:
        """No probability is NaN or infinite."""
        return math.isfinite(max(self.max_difference, self.pattern_difference))

    def fault(self) -> str:
        """Return, for people, what is wrong with a file that is not equal."""
        if not self.is_finite:
            return "it gives numbers that are not finite (NaN or infinity)"
        if self.changed or max(self.max_difference, self.pattern_difference) > self.tolerance:
            apart = f"it differs by {max(self.max_difference, self.pattern_difference):.2g} in a probability"
            other = f", and names other classes for {pluralize(len(self.changed), 'image')}"
            return apart + (other if self.changed else "")
        return (
            f"images that it resizes itself differ by {self.resize_difference:.2g} in a probability, more than "
            f"rounding explains ({self.resize_tolerance:.2g})"
        )

    @property
    def loss(self) -> float:
        """Accuracy lost, 0 to 1; without labels, the share of images whose class changed."""
        return 1 - self.top1_agreement if self.accuracy is None else self.accuracy[0] - self.accuracy[1]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON values of the proof."""
        found: dict[str, Any] = {
            "images": self.images,
            "checked_on": self.on,
            "top1_agreement": self.top1_agreement,
            "max_difference": self.max_difference,
            "mean_difference": self.mean_difference,
            "accuracy": None,
        }
        if self.accuracy is not None and self.intervals is not None:
            names = ("run", "exported")
            found["accuracy"] = dict(zip(names, self.accuracy, strict=True))
            found["interval"] = dict(zip(names, map(list, self.intervals), strict=True))
        if self.resize_difference is not None:
            found["resize_difference"] = self.resize_difference
        return found | {"ms_per_image": self.ms_per_image, "changed": list(self.changed)}


class Expected:
    """What a classifier gives, on images and on coloured patterns.

    Args:
        classifier: What is exported.
        engine: What runs it.
        images: The images.
        patterns: Made by tlkit.

    Attributes:
        probabilities: ``(images, classes)`` float32, of the images.
        of_patterns: ``(patterns, classes)`` float32, of the patterns.
    """

    def __init__(self, classifier: Classifier, engine: Engine, images: LoadedImages, patterns: LoadedImages) -> None:
        self._classifier, self._engine, self.images, self.patterns = classifier, engine, images, patterns
        self.thresholds = () if classifier.thresholds is None else classifier.thresholds.tolist()
        self.probabilities, self.of_patterns = self.give(images.pixels), self.give(patterns.pixels)

    def of_patterns_alone(self) -> Expected:
        """Return the same for the patterns, as images and as patterns."""
        alone = copy.copy(self)
        alone.images, alone.probabilities = self.patterns, self.of_patterns
        return alone

    def give(self, pixels: np.ndarray) -> np.ndarray:
        """Return the probabilities ``(images, classes)`` of pixels ``(images, height, width, channels)`` uint8."""
        rows = [run(self._engine, pixels[start : start + 8])[0] for start in range(0, len(pixels), 8)]
        return np.stack([self._classifier.probabilities(row) for row in np.concatenate(rows)])


def prove(expected: Expected, exported: Run, resized: tuple[float, float] | None) -> Proof:
    """Run an exported file on images and patterns, and compare its probabilities.

    Args:
        expected: What it should give.
        exported: The file in its runtime.
        resized: What :func:`resize_difference` found; None for a file that does not resize.
    """
    tolerance = resized[1] if resized and expected.images.crops else LARGEST_DIFFERENCE
    got, of_patterns = (_run_each(exported, each) for each in (expected.images, expected.patterns))
    (milliseconds,) = time_each([exported], expected.images.inputs)
    proof = compare(expected.probabilities, got, expected.images, expected.thresholds, milliseconds, tolerance)
    proof = dataclasses.replace(proof, pattern_difference=_apart(of_patterns, expected.of_patterns))
    if resized:
        proof = dataclasses.replace(proof, resize_difference=resized[0], resize_tolerance=resized[1])
    return proof


def resize_difference(expected: Expected, exported: Run) -> tuple[float, float]:
    """Compare images that a file resizes with the same that tlkit resized.

    Returns:
        The largest difference of a probability, 0 to 1; and the largest that rounding can explain: twice what one
        level more or less in each pixel brings.
    """
    shifts = np.random.default_rng(0)
    apart, explained = 0.0, 0.0
    for images in (expected.images, expected.patterns):
        assert images.whole is not None
        pixels = images.pixels[:_RESIZED]
        given = expected.give(pixels)
        shifted = np.clip(pixels.astype(np.int16) + shifts.integers(-1, 2, pixels.shape), 0, 255).astype(np.uint8)
        explained = max(explained, _apart(expected.give(shifted), given))
        got = np.concatenate([exported(images.whole[number]) for number in range(len(pixels))])
        apart = max(apart, _apart(got, given))
    return apart, LARGEST_DIFFERENCE + 2 * explained


def _apart(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.nan_to_num(np.abs(one - other), nan=np.inf).max())


def _run_each(exported: Run, images: LoadedImages) -> np.ndarray:
    inputs = images.inputs
    return np.concatenate([exported(inputs[number]) for number in range(len(inputs))])


def time_each(runtimes: Sequence[Run], inputs: Sequence[np.ndarray]) -> list[float]:
    """Return the median milliseconds for one image of each runtime, timed in turns, so that noise meets all alike.

    Args:
        runtimes: Which have run before: the first runs are slow.
        inputs: ``(1, height, width, channels)`` uint8 each.
    """
    seconds: list[list[float]] = [[] for _ in runtimes]
    for turn in range(_TURNS):
        for runtime, own in zip(runtimes, seconds, strict=True):
            time.sleep(_PAUSE)
            for number in range(_OF_A_TURN):
                one = inputs[(turn * _OF_A_TURN + number) % len(inputs)]
                started = time.perf_counter()
                runtime(one)
                own.append(time.perf_counter() - started)
    return [1000 * float(np.median(own)) for own in seconds]


def compare(
    expected: np.ndarray,
    got: np.ndarray,
    images: LoadedImages,
    thresholds: Sequence[float],
    ms_per_image: float,
    tolerance: float = LARGEST_DIFFERENCE,
) -> Proof:
    """Compare probabilities ``(images, classes)`` with those expected; see :func:`prove`."""
    differences = np.abs(got.astype(np.float64) - expected)
    differences[~np.isfinite(differences)] = np.inf
    before, after = _answers(expected, thresholds), _answers(got, thresholds)
    same = (before == after).reshape(len(got), -1).all(axis=1)
    margin = _margins(expected, thresholds)
    changed = ~same & (margin > tolerance)
    furthest = differences.max(axis=1)
    worst = [int(place) for place in np.argsort(-furthest, kind="stable")[:5] if furthest[place] > 0]
    accuracy = None
    if images.labels is not None:
        right = [(found == images.labels).reshape(len(got), -1).all(axis=1) for found in (before, after)]
        accuracy = (float(right[0].mean()), float(right[1].mean()))
    return Proof(
        images=len(got),
        on=images.name or PATTERNS,
        max_difference=float(differences.max()),
        mean_difference=float(differences.mean()),
        top1_agreement=float(same.mean()),
        changed=tuple(images.files[place] for place in np.flatnonzero(changed)),
        pattern_difference=0.0,
        worst=tuple((images.files[place], float(furthest[place])) for place in worst),
        accuracy=accuracy,
        ms_per_image=ms_per_image,
        tolerance=tolerance,
    )


def _answers(probabilities: np.ndarray, thresholds: Sequence[float]) -> np.ndarray:
    """Return the class of each image, or which classes it is given."""
    return probabilities >= np.array(thresholds) if len(thresholds) else probabilities.argmax(axis=1)


def _margins(probabilities: np.ndarray, thresholds: Sequence[float]) -> np.ndarray:
    """Return how far each image is from another answer, 0 to 1."""
    if len(thresholds):
        return np.asarray(np.abs(probabilities - np.array(thresholds)).min(axis=1))
    best = np.sort(probabilities, axis=1)
    return np.asarray(best[:, -1] - best[:, -2])

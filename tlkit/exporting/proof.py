"""Prove an exported file: run it in its own runtime, on real images, against what it was made from."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tlkit.data.images.decode import decode
from tlkit.errors import InputError
from tlkit.exporting.images import LoadedImages, made_images
from tlkit.inference.base import Engine, run
from tlkit.inference.exported.engines import Run
from tlkit.reporting.metrics import wilson_interval
from tlkit.training.classifier import Classifier

LARGEST_DIFFERENCE = 1e-4
"""Of a probability, that float32 may have: rounding in another order."""
PATTERNS = "patterns made by tlkit"
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
            decodes and resizes, 0 to 1; None where it does not resize.
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
        return max(self.max_difference, self.pattern_difference) <= LARGEST_DIFFERENCE and not self.changed

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


@dataclass(frozen=True)
class Expected:
    """What a classifier gives.

    Attributes:
        probabilities: ``(images, classes)`` float32, of images.
        patterns: Coloured patterns.
        of_patterns: ``(patterns, classes)`` float32, of them.
    """

    probabilities: np.ndarray
    patterns: LoadedImages
    of_patterns: np.ndarray


def expect(classifier: Classifier, engine: Engine, images: LoadedImages) -> Expected:
    """Run a classifier on images, and on patterns."""
    preprocessor = classifier.network.preprocessor
    patterns = made_images(preprocessor.size, preprocessor.channels)

    def give(pixels: np.ndarray) -> np.ndarray:
        rows = [run(engine, pixels[start : start + 8])[0] for start in range(0, len(pixels), 8)]
        return np.stack([classifier.probabilities(row) for row in np.concatenate(rows)])

    return Expected(give(images.pixels), patterns, give(patterns.pixels))


def prove(classifier: Classifier, expected: Expected, exported: Run, images: LoadedImages) -> Proof:
    """Run an exported file and compare its probabilities.

    Args:
        classifier: What it was made from.
        expected: What that gives.
        exported: The file in its runtime.
        images: The images.
    """
    thresholds = () if classifier.thresholds is None else classifier.thresholds.tolist()
    got, of_patterns = (_run_each(exported, pixels) for pixels in (images.pixels, expected.patterns.pixels))
    (milliseconds,) = time_each([exported], images.pixels)
    proof = compare(expected.probabilities, got, images, thresholds, milliseconds)
    apart = float(np.nan_to_num(np.abs(of_patterns - expected.of_patterns), nan=np.inf).max())
    return dataclasses.replace(proof, pattern_difference=apart)


def resize_difference(exported: Run, images: LoadedImages, *, most: int = 50) -> float | None:
    """Return the largest difference of a probability between images that a file resizes, and that tlkit resized.

    Args:
        exported: A file that resizes.
        images: As tlkit resized them, and their files.
        most: Images that are compared.
    """
    apart = []
    for file, sized in list(zip(images.files, images.pixels, strict=True))[:most]:
        try:
            image = decode(file)
        except InputError:
            continue
        whole = np.asarray(image if sized.shape[-1] == 3 else image.convert("L")).reshape(*image.size[::-1], -1)
        apart.append(np.abs(exported(whole[None]) - exported(sized[None])).max())
    return float(max(apart)) if apart else None


def _run_each(exported: Run, pixels: np.ndarray) -> np.ndarray:
    return np.concatenate([exported(pixels[number : number + 1]) for number in range(len(pixels))])


def time_each(runtimes: Sequence[Run], pixels: np.ndarray) -> list[float]:
    """Return the median milliseconds for one image of each runtime, timed in turns, so that noise meets all alike.

    Args:
        runtimes: Which have run before: the first runs are slow.
        pixels: ``(images, height, width, channels)`` uint8.
    """
    seconds: list[list[float]] = [[] for _ in runtimes]
    for turn in range(_TURNS):
        for runtime, own in zip(runtimes, seconds, strict=True):
            time.sleep(_PAUSE)
            for number in range(_OF_A_TURN):
                one = pixels[(turn * _OF_A_TURN + number) % len(pixels)][None]
                started = time.perf_counter()
                runtime(one)
                own.append(time.perf_counter() - started)
    return [1000 * float(np.median(own)) for own in seconds]


def compare(
    expected: np.ndarray, got: np.ndarray, images: LoadedImages, thresholds: Sequence[float], ms_per_image: float
) -> Proof:
    """Compare probabilities ``(images, classes)`` with those expected; see :func:`prove`."""
    differences = np.abs(got.astype(np.float64) - expected)
    differences[~np.isfinite(differences)] = np.inf
    before, after = _answers(expected, thresholds), _answers(got, thresholds)
    same = (before == after).reshape(len(got), -1).all(axis=1)
    margin = _margins(expected, thresholds)
    changed = ~same & (margin > LARGEST_DIFFERENCE)
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

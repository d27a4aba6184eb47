"""What a classifier makes of one image: the object that `predict` prints for it, and that `serve` answers with."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image

from tlkit.training.classifier import Classifier


@dataclass(frozen=True)
class ClassScore:
    """One predicted class.

    Attributes:
        rank: 1 for the most probable.
        label: WordNet id, or the name of the class folder.
        name: Readable name.
        probability: 0 to 1.
    """

    rank: int
    label: str
    name: str
    probability: float


@dataclass(frozen=True)
class Prediction:
    """The prediction for one input.

    Attributes:
        input: The path or URL; of a URL without its password.
        scores: The most probable classes; empty if it failed.
        labels: The classes that it is given, by a run that gives several labels an image; else None.
        error: Why it failed, or None.
        explanation: Path of the plot of where it shows its most probable class; None if none was asked for.
        unknown_score: How unlike the images that a run was trained on it is: above 1 it is unknown; None where
            nothing learned that.
        known: False where the score is above 1; None without one.
        image: The image as it was classified, reduced, for the first ones of a plot; else None.
    """

    input: str
    scores: tuple[ClassScore, ...] = ()
    labels: tuple[str, ...] | None = None
    error: str | None = None
    explanation: str | None = None
    unknown_score: float | None = None
    image: Image.Image | None = field(default=None, repr=False, compare=False)

    @property
    def known(self) -> bool | None:
        """Whether it is like the images that a run was trained on."""
        return None if self.unknown_score is None else self.unknown_score <= 1

    def to_dict(self) -> dict[str, Any]:
        """Return `{"input", "predictions": [{"rank", "label", "name", "probability"}]}`, or with `error` instead."""
        if self.error is not None:
            return {"input": self.input, "error": self.error}
        found: dict[str, Any] = {
            "input": self.input, "predictions": [dataclasses.asdict(score) for score in self.scores]
        }  # fmt: skip
        if self.labels is not None:
            found["labels"] = list(self.labels)
        if self.known is not None:
            found |= {"known": self.known, "unknown_score": self.unknown_score}
        return found | ({} if self.explanation is None else {"explanation": self.explanation})


def given_labels(probabilities: np.ndarray, classifier: Classifier) -> tuple[str, ...] | None:
    """Return the classes that an image is given where it may have several; else None."""
    if classifier.thresholds is None:
        return None
    return tuple(
        classifier.classes[index][1] for index in np.flatnonzero(probabilities >= classifier.thresholds).tolist()
    )


def best_classes(probabilities: np.ndarray, classifier: Classifier, top: int) -> tuple[ClassScore, ...]:
    """Return the most probable classes, and all that the image is given."""
    shown = np.argsort(np.argsort(-probabilities, kind="stable")) < top
    if classifier.thresholds is not None:
        shown |= probabilities >= classifier.thresholds
    order = [index for index in np.argsort(-probabilities, kind="stable").tolist() if shown[index]]
    return tuple(
        ClassScore(rank, classifier.classes[index][0], classifier.classes[index][1], float(probabilities[index]))
        for rank, index in enumerate(order, start=1)
    )

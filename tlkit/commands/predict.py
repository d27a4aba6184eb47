"""Name what is in pictures or clips, with a published network, a run or a model file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from tlkit.config import PredictConfig
from tlkit.data.discovery import expand_inputs, near_names
from tlkit.data.modality import IMAGE
from tlkit.errors import UsageError
from tlkit.features.extractor import compare_with_float32
from tlkit.inference.loop import forward
from tlkit.inference.select import open_engine
from tlkit.training.classifier import choose_classifier
from tlkit.utils.text import without_password


@dataclass(frozen=True)
class ClassScore:
    """One class that the network names.

    Attributes:
        rank: 1 for the likeliest.
        label: WordNet id, or the class folder's name.
        name: What people call it.
        probability: 0 to 1.
    """

    rank: int
    label: str
    name: str
    probability: float


@dataclass(frozen=True)
class Prediction:
    """What became of one input.

    Attributes:
        input: As it was given or found; of an address without the password.
        scores: The likeliest classes; empty when it failed.
        error: Why it failed, or None.
        picture: The picture, reduced, where it was asked for.
    """

    input: str
    scores: tuple[ClassScore, ...] = ()
    error: str | None = None
    picture: Image.Image | None = None


def predict(config: PredictConfig) -> list[Prediction]:
    """Predict every input, in input order; what cannot be read is named, and the others go on.

    Raises:
        TlkitError: Options that contradict each other, weights that cannot be had, a run that cannot be read.
    """
    classifier = choose_classifier(config)
    modality = classifier.network.preprocessor.modality
    if config.keep_pictures and modality is not IMAGE:
        raise UsageError(
            f"--plot is for images, and {config.arch or 'the run'} takes {modality.name}.",
            hint="Leave --plot out.",
        )
    sources = expand_inputs(config.images, modality)
    names = [without_password(source) for source in sources]

    engine = open_engine(classifier.network, engine=config.engine, precision=config.precision)
    if config.precision != "float32":
        compare_with_float32(classifier.network, engine, sources)
    predictions: list[Prediction | None] = [None] * len(sources)
    for batch in forward(
        sources,
        engine,
        preprocessor=classifier.network.preprocessor,
        batch_size=config.batch_size,
        description="predict",
        thumbnails=config.keep_pictures,
    ):
        for row, position in enumerate(batch.positions):
            probabilities = classifier.probabilities(batch.outputs[0][row])
            predictions[position] = Prediction(
                names[position],
                _best(probabilities, classifier.classes, config.top),
                picture=batch.thumbnails[row] if row < len(batch.thumbnails) else None,
            )
        for position, reason in batch.failed:
            near = near_names(sources[position]) if reason == "there is no such file" else None
            predictions[position] = Prediction(names[position], error=f"{reason}. {near}" if near else reason)
    return [prediction for prediction in predictions if prediction is not None]


def _best(probabilities: np.ndarray, classes: Sequence[tuple[str, str]], top: int) -> tuple[ClassScore, ...]:
    order = np.argsort(-probabilities, kind="stable")[:top]
    return tuple(
        ClassScore(rank, classes[index][0], classes[index][1], float(probabilities[index]))
        for rank, index in enumerate(order.tolist(), start=1)
    )

"""Name what is in pictures, with an ImageNet network or with a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tlkit.architectures.imagenet import imagenet_classes
from tlkit.architectures.table import get_architecture
from tlkit.config import DEFAULT_ARCHITECTURE, PredictConfig
from tlkit.errors import ConfigError, UsageError, WeightsError
from tlkit.images.batches import Look
from tlkit.images.scan import expand_inputs, near_names
from tlkit.text import printable


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
        input: As it was given or found.
        scores: The likeliest classes; empty when it failed.
        error: Why it failed, or None.
        picture: The picture, reduced, where it was asked for.
    """

    input: str
    scores: tuple[ClassScore, ...] = ()
    error: str | None = None
    picture: Image.Image | None = None


@dataclass(frozen=True)
class _Classifier:
    """A network with all it takes to go from a file to class names."""

    model: Any
    look: Look
    classes: Sequence[tuple[str, str]]


def predict(config: PredictConfig) -> list[Prediction]:
    """Predict every input, in input order; what cannot be read is named, and the others go on.

    Raises:
        TlkitError: Options that contradict each other, weights that cannot be had, a run that cannot be read.
    """
    classifier = _imagenet_classifier(config) if config.model is None else _run_classifier(config, Path(config.model))
    sources = expand_inputs(config.inputs)

    from tlkit.engines.keras_engine import KerasEngine
    from tlkit.features.forward import forward

    predictions: list[Prediction | None] = [None] * len(sources)
    for batch in forward(
        sources,
        KerasEngine(classifier.model),
        look=classifier.look,
        batch_size=config.batch_size,
        description="predict",
        keep_pictures=config.keep_pictures,
    ):
        for row, position in enumerate(batch.positions):
            probabilities = batch.outputs[row]
            if not np.isfinite(probabilities).all():
                raise WeightsError("The network's output is not a number: its weights are damaged.")
            predictions[position] = Prediction(
                sources[position],
                _best(probabilities, classifier.classes, config.top),
                picture=batch.pictures[row] if row < len(batch.pictures) else None,
            )
        for position, reason in batch.failed:
            near = near_names(sources[position]) if reason == "there is no such file" else None
            predictions[position] = Prediction(sources[position], error=f"{reason}. {near}" if near else reason)
    return [prediction for prediction in predictions if prediction is not None]


def _best(probabilities: np.ndarray, classes: Sequence[tuple[str, str]], top: int) -> tuple[ClassScore, ...]:
    order = np.argsort(-probabilities, kind="stable")[:top]
    return tuple(
        ClassScore(rank, classes[index][0], classes[index][1], float(probabilities[index]))
        for rank, index in enumerate(order.tolist(), start=1)
    )


def _imagenet_classifier(config: PredictConfig) -> _Classifier:
    architecture = get_architecture(DEFAULT_ARCHITECTURE if config.architecture is None else config.architecture)
    size = architecture.input_size(config.size, include_top=True)
    classes = imagenet_classes() if config.labels is None else _labels(config.labels, 1000)

    from tlkit.architectures.pretrained import build_pretrained

    pretrained = build_pretrained(
        architecture, weights="imagenet" if config.weights is None else config.weights, include_top=True, size=size
    )
    look = Look(size, architecture.preprocessing, config.resize or "squash", config.allow_private)
    return _Classifier(pretrained.model, look, classes)


def _run_classifier(config: PredictConfig, folder: Path) -> _Classifier:
    from tlkit.training.run_folder import MODEL, RECORD, load_model, read_run

    if folder.is_file():
        if folder.name != MODEL or not (folder.parent / RECORD).is_file():
            raise UsageError(
                f"--model takes the folder of a run, and {printable(folder)} is a file that belongs to none.",
                hint="`tlkit finetune DATA -o RUN` makes a run.",
            )
        folder = folder.parent
    record = read_run(folder)
    architecture = None if config.architecture is None else get_architecture(config.architecture).name
    for option, asked, own in (
        ("--arch", architecture, record.architecture),
        ("--size", config.size, record.size),
        ("--resize", config.resize, record.resize),
    ):
        if asked is not None and asked != own:
            raise UsageError(
                f"{option} {_shown(asked)} contradicts the run {printable(folder)}, trained with {_shown(own)}.",
                hint=f"Leave {option} out: a run brings its own.",
            )
    for option, given in (("--weights", config.weights), ("--labels", config.labels)):
        if given is not None:
            raise UsageError(f"{option} contradicts --model: a run brings its own.", hint=f"Leave {option} out.")
    look = Look(record.size, record.preprocessing, record.resize, config.allow_private)
    return _Classifier(load_model(folder, record), look, [(name, name) for name in record.classes])


def _shown(value: Any) -> str:
    return "x".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _labels(path: str, count: int) -> list[tuple[str, str]]:
    """Class names from a file, one a line.

    Raises:
        ConfigError: It cannot be read, or names another number of classes than the network has.
    """
    try:
        names = Path(path).read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"Cannot read the labels {printable(path)}: {printable(error)}.") from error
    while names and not names[-1].strip():
        names.pop()
    if len(names) != count:
        raise ConfigError(
            f"{printable(path)} names {len(names)} classes, but the network has {count}.",
            hint="One name a line, in the order of the network's outputs.",
        )
    return [(name.strip(), name.strip()) for name in names]

"""Classify images or recordings with a published network, a run or a model file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, overload

from tlkit.commands.explain import Explainer, check_explanations
from tlkit.config import PredictConfig
from tlkit.data.discovery import expand_inputs, near_names, report_left_out
from tlkit.data.modality import IMAGE
from tlkit.errors import UsageError
from tlkit.features.extractor import compare_with_float32
from tlkit.inference.base import Engine
from tlkit.inference.loop import forward
from tlkit.inference.select import open_engine
from tlkit.inference.tta import AveragingEngine
from tlkit.reporting.plots import check_plot_path, is_plot, plot_predictions
from tlkit.training.classifier import choose_classifier
from tlkit.training.prediction import Prediction, best_classes, given_labels
from tlkit.utils.logging import logger
from tlkit.utils.output_file import check_output
from tlkit.utils.text import without_password

MAX_PLOTTED = 16
"""Images that a plot shows at most."""


@dataclass(frozen=True)
class Predictions(Sequence[Prediction]):
    """A sequence of predictions, one per input, in input order.

    Attributes:
        predictions: The same as a tuple.
        left_out: Number of files in folders that are no images, by the end of their names.
        multi_label: An image may be given several labels.
    """

    predictions: tuple[Prediction, ...]
    left_out: Mapping[str, int] = field(default_factory=dict)
    multi_label: bool = False

    @overload
    def __getitem__(self, index: int) -> Prediction: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Prediction, ...]: ...
    def __getitem__(self, index: int | slice) -> Prediction | tuple[Prediction, ...]:
        return self.predictions[index]

    def __len__(self) -> int:
        return len(self.predictions)

    def to_dict(self) -> list[dict[str, Any]]:
        """Return the list that ``tlkit predict --format json`` prints."""
        return [prediction.to_dict() for prediction in self.predictions]


def predict(config: PredictConfig) -> Predictions:
    """Classify every input, in input order; one that cannot be read has an error, and the rest is classified.

    Raises:
        TlkitError: Options that contradict each other, missing weights, an unreadable run.
    """
    if config.plot is not None:
        check_plot_path(Path(config.plot))
        _refuse_to_overwrite(Path(config.plot), config.images)
        check_output(Path(config.plot), is_plot, force=config.force)
    if config.explain is not None:
        check_explanations(config.explain, config.images, force=config.force)
    classifier = choose_classifier(config)
    modality = classifier.network.preprocessor.modality
    if config.unknown and not classifier.knows_unknown:
        raise UsageError(
            f"--unknown: {config.model or 'a published network'} has not learned what its images look like.",
            hint="A run of `tlkit finetune` has (train one of an older tlkit again), and what `tlkit export --check` "
            "made of one on 20 images and more.",
        )
    for option, given in (("--plot", config.plot), ("--explain", config.explain), ("--tta", config.tta)):
        if given and modality is not IMAGE:
            raise UsageError(
                f"{option} is for images, and {config.arch or 'the run'} takes {modality.name}.",
                hint=f"Leave {option} out.",
            )
    left_out: Counter[str] = Counter()
    sources = expand_inputs(config.images, modality, left_out)
    report_left_out(left_out, modality)
    names = [without_password(source) for source in sources]
    explainer = None if config.explain is None else Explainer(config.explain, names, classifier, force=config.force)

    def engine() -> Engine:
        opened = open_engine(classifier.network, engine=config.engine, precision=config.precision)
        if config.precision != "float32":
            compare_with_float32(classifier.network, opened, sources)
        if explainer:
            explainer.engine = opened
        return AveragingEngine(opened) if config.tta else opened

    predictions: list[Prediction | None] = [None] * len(sources)
    for batch in forward(
        sources,
        engine,
        preprocessor=classifier.network.preprocessor,
        batch_size=config.batch_size,
        description="predict",
        thumbnails=MAX_PLOTTED if config.plot else 0,
        transform=explainer.keep if explainer else None,
    ):
        pixels = explainer.take() if explainer else None
        strangeness = classifier.strangeness(batch.outputs)
        for row, position in enumerate(batch.positions):
            probabilities = classifier.probabilities(batch.outputs[0][row])
            score = None if strangeness is None else float(strangeness[row])
            turned_away = config.unknown and score is not None and score > 1
            labels = given_labels(probabilities, classifier)
            predictions[position] = Prediction(
                names[position],
                () if turned_away else best_classes(probabilities, classifier, config.top),
                () if turned_away and labels is not None else labels,
                explanation=(
                    explainer.draw(position, pixels[row], int(probabilities.argmax()), classifier.classes)
                    if explainer and pixels is not None and not turned_away
                    else None
                ),
                unknown_score=score,
                image=batch.thumbnails[row] if row < len(batch.thumbnails) else None,
            )
        for position, reason in batch.failed:
            near = near_names(sources[position]) if reason == "there is no such file" else None
            predictions[position] = Prediction(names[position], error=f"{reason}. {near}" if near else reason)
    result = Predictions(
        tuple(prediction for prediction in predictions if prediction is not None),
        left_out,
        classifier.thresholds is not None,
    )
    if config.plot is not None:
        _plot(result, Path(config.plot))
    return result


def _refuse_to_overwrite(plot: Path, images: Sequence[str]) -> None:
    if plot.exists() and any(Path(path).exists() and plot.samefile(path) for path in expand_inputs(images, IMAGE)):
        raise UsageError(f"--plot {plot} would overwrite one of the images.", hint="Give it another name.")


def _plot(predictions: Predictions, path: Path) -> None:
    shown = [
        (
            prediction.image,
            Path(prediction.input).name,
            [(score.name, score.probability) for score in prediction.scores],
        )
        for prediction in predictions
        if prediction.image is not None
    ]
    if not shown:
        logger.warning("There is nothing to draw; %s is not written.", path)
        return
    plot_predictions(shown, path)
    classified = sum(prediction.error is None for prediction in predictions)
    logger.info("Drew %d of %d images to %s.", len(shown), classified, path)

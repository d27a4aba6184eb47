"""Classify images or recordings with a published network, a run or a model file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, overload

from tlkit.commands.explain import Explainer, check_explanations
from tlkit.config import PredictConfig
from tlkit.data.digests import file_digests
from tlkit.data.discovery import expand_inputs, near_names, report_left_out
from tlkit.data.modality import IMAGE
from tlkit.distributed.shares import PartResult, cached_parts, compute_part, parts_of
from tlkit.errors import UsageError
from tlkit.features.extractor import FeatureExtractor, compare_with_float32
from tlkit.features.spec import FeatureSpec
from tlkit.inference.base import Engine
from tlkit.inference.loop import ForwardBatch, forward
from tlkit.inference.provenance import Provenance
from tlkit.inference.select import open_engine
from tlkit.inference.tta import AveragingEngine
from tlkit.reporting.plots import check_plot_path, is_plot, plot_predictions
from tlkit.training.classifier import Classifier, choose_classifier
from tlkit.training.prediction import Prediction, best_classes, given_labels
from tlkit.training.run_network import CLASSIFIER
from tlkit.utils.hashing import file_digest
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


def predict(config: PredictConfig) -> Predictions | PartResult:
    """Classify every input, in input order; one that cannot be read has an error, and the rest is classified.

    With ``part``, the network runs on one share of the inputs, and nothing is classified yet.

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
    if config.part is not None:
        extractor, parts = _elsewhere(classifier, config)
        return compute_part(config, parts, extractor, sources, batch_size=config.batch_size)
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
    for batch in _outputs(classifier, config, sources, engine, explainer):
        pixels = explainer.take() if explainer else None
        strangeness = classifier.strangeness(batch.outputs) if batch.positions else None
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


def _outputs(
    classifier: Classifier,
    config: PredictConfig,
    sources: Sequence[str],
    engine: Callable[[], Engine],
    explainer: Explainer | None,
) -> Iterator[ForwardBatch]:
    """Yield the outputs of the network, computed here or elsewhere."""
    if config.ray is None and not config.merge:
        yield from forward(
            sources,
            engine,
            preprocessor=classifier.network.preprocessor,
            batch_size=config.batch_size,
            description="predict",
            thumbnails=MAX_PLOTTED if config.plot else 0,
            transform=explainer.keep if explainer else None,
        )
        return
    extractor, parts = _elsewhere(classifier, config)
    with parts_of(config, parts, extractor, partial(output_extractor, config), batch_size=config.batch_size):
        assert extractor.elsewhere is not None
        yield from extractor.elsewhere(sources, file_digests(sources, extractor.modality), "predict")


def output_extractor(config: PredictConfig) -> FeatureExtractor:
    """Return what computes the outputs of the network, on another machine."""
    return _elsewhere(choose_classifier(config), config)[0]


def _elsewhere(classifier: Classifier, config: PredictConfig) -> tuple[FeatureExtractor, Path]:
    """Return what computes the outputs of the network as features, and where their parts are."""
    network = classifier.network
    if network.runtime is not None:
        raise UsageError(
            f"{config.model} runs on this machine alone.", hint="Use the run or the model that it was exported from."
        )
    provenance = network.provenance
    if provenance is None:
        assert config.model is not None
        weights = {"digest": file_digest(Path(config.model)), "options": config.load.words()}
        provenance = Provenance(architecture=Path(config.model).name, weights=weights, layer=CLASSIFIER)
    outputs = 1 if classifier.unknown is None else 1 + len(classifier.unknown.layers)
    if config.tta:
        outputs += 1
        provenance = replace(provenance, augment={"mean": "tta"})
        single = partial(open_engine, network, engine=config.engine, precision=config.precision)
        network = replace(network, runtime=lambda: AveragingEngine(single()))
    extractor = FeatureExtractor(
        FeatureSpec(network, provenance, outputs), engine=config.engine, precision=config.precision
    )
    return extractor, cached_parts(extractor, "predict", *config.images)


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

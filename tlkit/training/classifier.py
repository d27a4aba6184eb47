"""Load a classifier (published network, run folder or Keras model) with its preprocessing and class names."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, NoReturn

import numpy as np

from tlkit import keras_files
from tlkit.analysis.calibration import calibrated_probabilities
from tlkit.analysis.unknown import UnknownDetector
from tlkit.architectures.architecture import Architecture
from tlkit.architectures.labels import published_labels, read_labels
from tlkit.architectures.preprocessor import preprocessor_for
from tlkit.architectures.pretrained import build_pretrained, choose_weights
from tlkit.architectures.registry.lookup import get_architecture
from tlkit.config import DEFAULT_ARCHITECTURE, ExportFormat, PredictConfig
from tlkit.data.discovery import near_names
from tlkit.data.images.preprocessor import ImagePreprocessor
from tlkit.errors import ModelError, UsageError
from tlkit.features.published_network import published_network
from tlkit.inference.compiler.graph import Unsupported
from tlkit.inference.compiler.model_file import read_model_file
from tlkit.inference.compiler.network import Selection, run_on_values
from tlkit.inference.compiler.read_config import read_config
from tlkit.inference.exported.engines import ExportedEngine
from tlkit.inference.exported.files import exported_format, read_manifest
from tlkit.inference.exported.manifest import Manifest
from tlkit.inference.lazy_model import LazyModel
from tlkit.inference.provenance import Provenance
from tlkit.inference.select import resolve_engine
from tlkit.keras_files import ConfigLayer, check_is_file, data_layout
from tlkit.training.model_ends import ModelEnds, model_ends
from tlkit.training.run_network import CLASSIFIER
from tlkit.utils.logging import logger

OutputKind = Literal["probabilities", "logits", "probability of the second", "logit of the second"]
"""What a network gives: a number for each class, or one for the second of two."""


@dataclass(frozen=True)
class Classifier:
    """A network with its preprocessing and class names.

    Attributes:
        network: One input; its first output is ``(batch, outputs)``, and features that ``unknown`` knows follow.
        classes: ``(label, name)`` of each class.
        outputs: What the outputs are.
        temperature: Divides the logits of the probabilities.
        unknown: What tells images of other kinds, by the features; None where nothing learned that.
        unknown_below: The largest probability below which an image is unknown, 0 to 1, where there are no features to
            tell; else None.
        thresholds: ``(classes,)`` the probability from which on a class is given, where an image may have several
            labels; None where it has one.
    """

    network: LazyModel
    classes: Sequence[tuple[str, str]]
    outputs: OutputKind = "probabilities"
    temperature: float = 1.0
    unknown: UnknownDetector | None = None
    unknown_below: float | None = None
    thresholds: np.ndarray | None = None

    @property
    def knows_unknown(self) -> bool:
        """Images of other kinds can be told."""
        return self.unknown is not None or self.unknown_below is not None

    def strangeness(self, outputs: Sequence[np.ndarray]) -> np.ndarray | None:
        """Return how unlike the training images each image is, ``(batch,)``: above 1 unknown; None if nothing tells.

        Args:
            outputs: All outputs of the network for a batch.
        """
        if self.unknown is not None:
            features = outputs[1 : 1 + len(self.unknown.layers)]
            # one by one: how products of matrices round depends on the other rows
            rows = ([output[row : row + 1] for output in features] for row in range(len(outputs[0])))
            return np.array([self.unknown.scores(row)[0] for row in rows], np.float32)
        if self.unknown_below is None:
            return None
        best = np.array([self.probabilities(row).max() for row in outputs[0]], np.float64)
        return np.asarray((1 - best) / max(1 - self.unknown_below, 1e-6))

    def probabilities(self, outputs: np.ndarray) -> np.ndarray:
        """Map the outputs of one image ``(outputs,)`` to probabilities ``(classes,)``."""
        if self.outputs == "logits":
            powers = np.exp(outputs - outputs.max())
            return np.asarray(powers / powers.sum())
        if self.outputs != "probabilities":
            with np.errstate(over="ignore"):
                second = outputs[0] if self.outputs == "probability of the second" else 1 / (1 + np.exp(-outputs[0]))
            return np.array([1 - second, second], outputs.dtype)
        return calibrated_probabilities(outputs, self.temperature, multi_label=self.thresholds is not None)


def choose_classifier(config: PredictConfig) -> Classifier:
    """Load the classifier that the options select.

    Raises:
        TlkitError: Options contradict each other, weights cannot be found, or a run or model cannot be read.
    """
    if config.model is None:
        return _published_classifier(config)
    from tlkit.training.run_folder import MODEL, RECORD

    path = Path(config.model)
    if path.is_file() and path.name == MODEL and (path.parent / RECORD).is_file():
        path = path.parent
    kind = exported_format(path)
    if kind is not None:
        return _exported_classifier(config, path, kind)
    if path.is_dir():
        return _run_classifier(config, path)
    if not path.exists():
        raise ModelError(
            f"There is no run and no model file {path}.",
            hint=near_names(config.model) or "`tlkit finetune DATA -o RUN` creates a run.",
        )
    check_is_file(path)
    manifest = read_manifest(path, "keras") if path.suffix == ".keras" else None
    if manifest is not None:
        return _exported_classifier(config, path, "keras", manifest)
    return _model_classifier(config, path)


def _exported_classifier(
    config: PredictConfig, path: Path, kind: ExportFormat, manifest: Manifest | None = None
) -> Classifier:
    """Return a classifier that `tlkit export` wrote, run by the runtime of its format."""
    manifest = manifest or read_manifest(path, kind)
    if manifest is None:
        raise ModelError(
            f"{path} was not written by `tlkit export`: it does not tell its classes, nor what its input is.",
            hint="Name a run, a Keras model, or export it with tlkit.",
        )
    size = None if config.size == manifest.size else config.size
    resize = None if config.resize == manifest.resize else config.resize
    for option, given in (
        ("--arch", config.arch), ("--weights", config.weights), ("--size", size), ("--resize", resize),
        ("--preprocess", config.preprocess), ("--labels", config.labels),
        ("--uncalibrated", config.uncalibrated or None),
        ("--engine", None if config.engine == "auto" else config.engine),
        ("--precision", None if config.precision == "float32" else config.precision),
        *((option, True) for option in (*config.load.flags(), *config.build.flags())),
    ):  # fmt: skip
        if given is not None:
            raise UsageError(f"{option} contradicts --model {path}, which has its own.", hint=f"Leave {option} out.")
    preprocessor = dataclasses.replace(manifest.preprocessor, allow_private=config.allow_private)

    def no_model() -> NoReturn:
        raise ModelError(f"{path} is no Keras model any more.")

    network = LazyModel(no_model, preprocessor, runtime=lambda: ExportedEngine(path, kind, manifest))
    thresholds = np.array(manifest.thresholds) if manifest.thresholds else None
    return Classifier(network, manifest.named_classes, unknown_below=manifest.unknown_below, thresholds=thresholds)


def _published_classifier(config: PredictConfig) -> Classifier:
    architecture = get_architecture(DEFAULT_ARCHITECTURE if config.arch is None else config.arch, config.build)
    if config.preprocess is not None:
        raise UsageError(
            f"--preprocess applies to a model FILE; {architecture.name} has its own ({architecture.preprocessing}).",
            hint="Leave --preprocess out.",
        )
    size = architecture.input_size(config.size, include_top=True)
    preprocessor = preprocessor_for(architecture, size, config.resize, allow_private=config.allow_private)
    classes = _class_names(config.labels, architecture)
    weights = choose_weights(
        architecture,
        "imagenet" if config.weights is None else config.weights,
        include_top=True,
        size=size,
        options=config.load,
        seed=config.seed,
    )
    provenance = Provenance(**architecture.spec_dict, weights=weights.cache_key, layer=CLASSIFIER)
    network = published_network(architecture, weights, include_top=True)
    return Classifier(
        LazyModel(
            lambda: build_pretrained(architecture, weights=weights, include_top=True, size=size).model,
            preprocessor,
            provenance,
            network.select if network else None,
        ),
        classes,
    )


def _run_classifier(config: PredictConfig, folder: Path) -> Classifier:
    from tlkit.training.run_folder import read_run
    from tlkit.training.run_network import RunNetwork
    from tlkit.training.unknown import read_unknown

    record = read_run(folder)
    temperature = 1.0 if config.uncalibrated else record.temperature
    thresholds = np.array(record.thresholds) if record.multi_label else None
    if thresholds is not None and config.uncalibrated:  # the same answers
        thresholds = calibrated_probabilities(thresholds, 1 / record.temperature, multi_label=True)
    architecture = None if config.arch is None else get_architecture(config.arch).name
    for option, asked, own in (
        ("--arch", architecture, record.architecture),
        ("--size", config.size, record.size),
        ("--resize", config.resize, record.resize),
        ("--preprocess", config.preprocess, record.preprocessing),
    ):
        if asked is not None and asked != own:
            raise UsageError(
                f"{option} {_shown(asked)} contradicts the run {folder}, trained with {_shown(own)}.",
                hint=f"Leave {option} out: a run has its own.",
            )
    same = config.build.data_format in (None, record.data_format)
    build = dataclasses.replace(config.build, data_format=None) if same else config.build
    for option, given in (
        ("--weights", config.weights),
        ("--labels", config.labels),
        *((option, True) for option in (*config.load.flags(), *build.flags())),
    ):
        if given is not None:
            raise UsageError(f"{option} contradicts --model: a run has its own.", hint=f"Leave {option} out.")
    run = RunNetwork(folder, record, config.allow_private)
    unknown = read_unknown(folder, record)
    parts = [run.classifier(), *(run.features(layer).network for layer in unknown.layers)] if unknown else []
    return Classifier(
        LazyModel.joined(parts) if parts else run.classifier(),
        [(name, name) for name in record.classes],
        temperature=temperature,
        unknown=unknown.detector if unknown else None,
        thresholds=thresholds,
    )


def _shown(value: Any) -> str:
    return "x".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _model_classifier(config: PredictConfig, path: Path) -> Classifier:
    for option, given in (
        ("--arch", config.arch),
        ("--weights", config.weights),
        ("--uncalibrated", config.uncalibrated or None),
        *((option, True) for option in config.build.flags()),
    ):
        if given is not None:
            raise UsageError(f"{option} contradicts --model {path}: the file is the whole network.")

    model = _open_model(path, config)
    preprocessor = _preprocessor(model.inputs, model.ends, model.described, config, path)
    kind = _output_kind(model.ends, model.outputs, path)
    count = 2 if model.outputs == 1 else model.outputs
    classes = _numbers(count) if config.labels is None else read_labels(config.labels, count)
    network = LazyModel(model.load, preprocessor, None, model.selection, unsupported=model.unsupported)
    return Classifier(network, classes, kind)


@dataclass(frozen=True)
class _ModelFile:
    """A model file that is to classify.

    Attributes:
        inputs: Shape of a batch of inputs, None for what is open.
        outputs: Numbers that it gives for one image.
        ends: What they are, and which pixels it takes.
        described: The layers of its config.
        load: Return the Keras model.
        selection: Return the network without Keras, or raise Unsupported; None where only Keras computes it.
        unsupported: Why that is so.
    """

    inputs: tuple[Any, ...]
    outputs: int
    ends: ModelEnds
    described: ConfigLayer | None
    load: Callable[[], Any]
    selection: Callable[[], Selection] | None
    unsupported: str | None = None


def _open_model(path: Path, config: PredictConfig) -> _ModelFile:
    def select() -> Selection:  # for `tlkit export`, which compiles a network whatever runs it
        return read_model_file(path, config.load).network.select()

    unsupported = None
    if resolve_engine(config.engine) == "openvino":
        try:
            return _without_keras(path, config)
        except Unsupported as reason:
            logger.debug("%s goes through Keras: %s.", path, reason)
            unsupported = str(reason)
    selection = None if unsupported else select
    loaded = keras_files.load_model(path, config.load)
    inputs, outputs = loaded.model.input_shape, loaded.model.output_shape
    if not isinstance(inputs, tuple) or len(inputs) != 4:
        raise ModelError(f"{path} takes {inputs}, not one image.")
    count = _count(path, outputs)
    try:
        graph = read_config(keras_files.describe_model(path).config, lenient=True)
    except Unsupported as reason:  # then nothing but its outputs can be looked at
        logger.debug("The layers of %s cannot be followed: %s.", path, reason)
        graph = None
    ends = model_ends(
        graph,
        inputs[1:],
        lambda: keras_files.layer_arrays(loaded.model),
        lambda values: np.asarray(loaded.model(values, training=False)),
    )
    return _ModelFile(inputs, count, ends, loaded.header.config, lambda: loaded.model, selection, unsupported)


def _without_keras(path: Path, config: PredictConfig) -> _ModelFile:
    model = read_model_file(path, config.load)
    graph, shape = model.network.graph, model.input_shape
    shapes = model.shapes(config.size or (224, 224))
    count = _count(path, tuple((None, *shapes[ref.call]) for ref in graph.outputs))
    selection = model.network.select()
    ends = model_ends(graph, shape, model.network.read_arrays, lambda values: run_on_values(selection, values)[0])
    load = cache(lambda: keras_files.load_model(path, config.load).model)
    return _ModelFile((None, *shape), count, ends, model.header.config, load, lambda: selection)


def _count(path: Path, outputs: Any) -> int:
    """Return how many numbers a model gives for an image; refuse any other kind of output."""
    if isinstance(outputs, tuple) and len(outputs) == 1:  # a list of one
        outputs = outputs[0]
    if not isinstance(outputs, tuple) or len(outputs) != 2 or not isinstance(outputs[1], int):
        raise ModelError(f"{path} gives {outputs}, not one number a class.")
    return outputs[1]


def _preprocessor(
    shape: tuple[Any, ...], ends: ModelEnds, described: ConfigLayer | None, config: PredictConfig, path: Path
) -> ImagePreprocessor:
    """Return the preprocessor of a model file, from the input of the model and the options."""
    first = (data_layout(described) if described else None) == "channels_first" or (
        shape[3] not in (1, 3) and shape[1] in (1, 3)
    )
    channels, *own = (shape[1], shape[2], shape[3]) if first else (shape[3], shape[1], shape[2])
    if channels not in (1, 3):
        raise ModelError(f"{path} takes images of {channels} channels; tlkit supports 3 and 1.")
    size = tuple(side or asked for side, asked in zip(own, config.size or own, strict=True))
    if None in size:
        raise UsageError(f"{path} takes images of any size.", hint="Choose one with --size N or HxW.")
    if config.size is not None and config.size != size:
        raise UsageError(
            f"--size {_shown(config.size)} contradicts {path}, which takes {_shown(size)}.",
            hint="Leave --size out: the model has its own.",
        )
    preprocessing = config.preprocess or ("none" if ends.scales_pixels else None)
    if preprocessing is None:
        raise UsageError(
            f"{path} does not record how its images were normalized.",
            hint="Choose with --preprocess: unit (0 to 1), tf (-1 to 1), caffe, torch or lite (as the network it "
            "was built on), none (0 to 255).",
        )
    if ends.scales_pixels and preprocessing != "none":
        logger.warning(
            "%s scales pixels of 0 to 255 itself, and --preprocess %s scales them before it; leave it out.",
            path,
            preprocessing,
        )
    if channels == 1 and preprocessing in ("caffe", "torch"):
        raise UsageError(f"--preprocess {preprocessing} is for three channels, and {path} takes one.")
    return ImagePreprocessor(
        (size[0], size[1]),
        preprocessing,
        config.resize or "squash",
        config.allow_private,
        channels,
        data_format="channels_first" if first else "channels_last",
    )


def _output_kind(ends: ModelEnds, count: int, path: Path) -> OutputKind:
    """Return what the outputs of a model are."""
    if ends.outputs == "scores":
        return "probability of the second" if count == 1 else "probabilities"
    if ends.outputs == "probabilities" and count > 1:
        return "probabilities"
    if count == 1 and ends.outputs != "logits":
        raise ModelError(f"{path} gives one number that is no probability; tlkit names classes.")
    if count == 1:
        logger.warning(
            "%s ends in one number without a sigmoid; taken as the logit of the second of two classes.", path
        )
        return "logit of the second"
    logger.warning("%s ends without a softmax; its outputs are taken as logits.", path)
    return "logits"


def _class_names(labels: str | None, architecture: Architecture) -> Sequence[tuple[str, str]]:
    """Return ``(label, name)`` of the classes of an architecture."""
    count = architecture.options.classes
    if labels is not None:
        return read_labels(labels, count or architecture.classes)
    return published_labels(architecture.labels) if count is None else _numbers(count)


def _numbers(count: int) -> list[tuple[str, str]]:
    """Number classes that have no names."""
    logger.info("Nothing names the classes, so they are numbers; --labels FILE names them.")
    return [(str(number), str(number)) for number in range(count)]

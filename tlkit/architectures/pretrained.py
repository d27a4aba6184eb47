"""Build an architecture with pretrained weights."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tlkit import keras_files
from tlkit.architectures.architecture import Architecture
from tlkit.architectures.layer_tables import initializers_of
from tlkit.architectures.random_weights import describe_draw, draw_layer
from tlkit.architectures.verify_weights import published_problem
from tlkit.architectures.weights_compatibility import Expected, preprocess_of
from tlkit.config import LoadOptions
from tlkit.downloads.locate import check_weights, locate
from tlkit.errors import UsageError
from tlkit.utils.hashing import file_digest
from tlkit.utils.logging import logger
from tlkit.utils.text import join_truncated, pluralize

if TYPE_CHECKING:
    import numpy as np

    from tlkit.keras_files import LayerSpec, LoadReport

    Arrays = dict[tuple[str, ...], dict[str, np.ndarray]]


@dataclass(frozen=True)
class WeightsChoice:
    """The weights of a network; their file, if they have one, is on this machine and verified.

    Attributes:
        name: ``imagenet``, ``none``, or the given path.
        path: The file; None for random weights.
        digest: ``sha256:…`` of the file; None for random weights.
        options: How to load the file.
        seed: Draws the random ones: all, or with ``skip_mismatch`` those that the file has nothing for.
    """

    name: str
    path: Path | None
    digest: str | None
    options: LoadOptions
    seed: int = 0

    @property
    def cache_key(self) -> dict[str, Any]:
        """What determines every weight, beside the architecture; for JSON."""
        key: dict[str, Any] = {}
        if self.digest is not None:
            key = {"digest": self.digest, **({} if self.options == LoadOptions() else dataclasses.asdict(self.options))}
        if self.digest is None or self.options.skip_mismatch:
            key["drawn"] = describe_draw(self.seed)
        return key

    @property
    def file_options(self) -> LoadOptions:
        """The options to load the file with."""
        if self.name == "imagenet":  # published files have TensorFlow's kernels, whether or not the file states it
            return dataclasses.replace(self.options, flip_kernels=False)
        return self.options


@dataclass(frozen=True)
class Pretrained:
    """A model and the origin of its weights.

    Attributes:
        model: A functional ``keras.Model``.
        weights: ``imagenet``, ``none``, or the given path.
        digest: ``sha256:…`` of the weights file; None for random weights.
    """

    model: Any
    weights: str
    digest: str | None


def choose_weights(
    architecture: Architecture,
    weights: str = "imagenet",
    *,
    include_top: bool,
    size: tuple[int, int] | None = None,
    options: LoadOptions | None = None,
    seed: int = 0,
) -> WeightsChoice:
    """Find the weights file, and download it if necessary. Keras is not imported.

    Args:
        architecture: The registry entry.
        weights: ``imagenet`` for the published weights, ``none`` for random ones, or the path of a file.
        include_top: With the ImageNet classifier or without.
        size: Input height and width, on which some published weights depend; None for the default.
        options: How to load a file that leaves it open.
        seed: Draws random weights.

    Raises:
        WeightsError: The weights cannot be found or downloaded.
        UsageError: Options for loading a file, without one.
    """
    if weights == "none" and options in (None, LoadOptions()):
        logger.warning("%s has random weights: its predictions are meaningless until it is trained.", architecture.name)
        return WeightsChoice(weights, None, None, LoadOptions(), seed)
    given = check_weights(weights)
    if given is None and options not in (None, LoadOptions()):
        raise UsageError(
            "--by-name, --skip-mismatch, --layout and --flip-kernels apply to a file; the published weights "
            "need none of them.",
            hint="Give the file with --weights PATH.",
        )
    path = given
    if path is None:
        file = architecture.weights_file(include_top=include_top, size=size)
        path = locate(file, partial(published_problem, file))
        if size is not None and not architecture.is_trained_at(size):
            logger.info(
                "Using the weights of %s for %dx%d: none were trained at %dx%d.",
                architecture.name, architecture.size, architecture.size, *size,
            )  # fmt: skip
    return WeightsChoice(weights, path, file_digest(path), options or LoadOptions(), seed)


def build_pretrained(
    architecture: Architecture,
    *,
    weights: str | WeightsChoice = "imagenet",
    include_top: bool,
    size: tuple[int, int] | None = None,
    options: LoadOptions | None = None,
) -> Pretrained:
    """Build an architecture and load its weights.

    Args:
        architecture: The registry entry.
        weights: As for :func:`choose_weights`, or its result.
        include_top: With the ImageNet classifier or without.
        size: Input height and width; None for the default.
        options: How to load a file that leaves it open.

    Raises:
        WeightsError: The weights cannot be found or do not fit. Never random weights instead.
        ArchitectureError: The size does not fit, or random weights cannot be drawn.
    """
    architecture.input_size(size, include_top=include_top)  # refuse before anything is downloaded
    if isinstance(weights, str):
        weights = choose_weights(architecture, weights, include_top=include_top, size=size, options=options)
    if weights.path is not None and weights.name != "imagenet":
        _check_shapes(weights.path, architecture, include_top, weights.options)
    from tlkit.architectures.build import build  # Keras starts here

    model = build(architecture, include_top=include_top, size=size)
    left = None
    if weights.path is not None:
        # a published file was verified when it was located, and one that was given just now
        left = load_weights(model, weights.path, architecture, weights.file_options, verify=False).left_random
    draw_weights(model, architecture, include_top=include_top, names=left, seed=weights.seed)
    return Pretrained(model, weights.name, weights.digest)


def draw_weights(
    model: Any, architecture: Architecture, *, include_top: bool, names: Sequence[str] | None = None, seed: int = 0
) -> None:
    """Draw the random weights of a built model, the same as :func:`read_weights` returns.

    Args:
        model: The model; the weights are assigned to it.
        architecture: Its registry entry.
        include_top: With the ImageNet classifier or without.
        names: The layers to draw; None for all.
        seed: Random seed.

    Raises:
        ArchitectureError: An initializer is none of Keras's.
    """
    targets = [target for target in keras_files.target_layers(model) if names is None or target.spec.name in names]
    drawn = _draw(architecture, [target.spec for target in targets], seed, include_top=include_top)
    keras_files.assign_arrays(targets, drawn)


def _draw(architecture: Architecture, layers: Sequence[LayerSpec], seed: int, *, include_top: bool) -> Arrays:
    """Draw the weights of layers of an architecture."""
    # where there is no table, asking for them takes seconds
    initializers = initializers_of(architecture, include_top=include_top) if layers else {}
    keys = {(*layer.path, layer.name): layer for layer in layers}
    return {key: draw_layer(layer, initializers.get(key, {}), seed) for key, layer in keys.items()}


def read_weights(architecture: Architecture, weights: WeightsChoice, *, include_top: bool) -> Arrays:
    """Return the weights of an architecture as arrays, without Keras: read from their file, or drawn.

    Args:
        architecture: The registry entry.
        weights: Where they come from.
        include_top: With the ImageNet classifier or without.

    Returns:
        ``{path and name of a layer: {role: array}}``, in the layout of Keras 3.

    Raises:
        WeightsError: Not a weights file, damaged, or of another model.
        ArchitectureError: Random weights cannot be drawn.
    """
    expected = Expected.of(architecture, include_top=include_top)
    arrays = {} if weights.path is None else _read(architecture, weights.path, weights, expected)
    left = [layer for layer in expected.layers if (*layer.path, layer.name) not in arrays]
    return arrays | _draw(architecture, left, weights.seed, include_top=include_top)


def _read(architecture: Architecture, path: Path, weights: WeightsChoice, expected: Expected) -> Arrays:
    if not architecture.with_top.is_hdf5 and keras_files.is_torch_stream(path):
        from tlkit.architectures.efficientnet_lite_weights import keras_layout

        by_name = keras_layout(expected.layers, keras_files.read_torch_stream(path))
        report = keras_files.match_by_name(expected.layers, by_name, source=path.name)
        arrays: Arrays = {
            (layer.name,): dict(zip([role for role, _ in layer.tensors], by_name[layer.name], strict=True))
            for layer in expected.layers
        }
    elif keras_files.is_hdf5(path) or keras_files.is_archive(path):
        if weights.name != "imagenet":
            keras_files.verify_readable(path)
        with keras_files.open_file(path) as file:
            plan = expected.plan(file, weights.file_options)
            keras_files.require_loadable(plan, file, weights.file_options, into=architecture.name)
            arrays, report = keras_files.read_arrays(plan), keras_files.report_of(plan)
    else:
        raise keras_files.foreign_error(path)
    _log_report(report, architecture.name, path)
    return arrays


def _check_shapes(path: Path, architecture: Architecture, include_top: bool, options: LoadOptions) -> None:
    """Refuse a file that does not fit before the network takes memory: from the tables, without Keras."""
    if keras_files.is_hdf5(path) or keras_files.is_archive(path):
        keras_files.verify_readable(path)
        with keras_files.open_file(path) as file:
            plan = Expected.of(architecture, include_top=include_top).plan(file, options)
            keras_files.require_loadable(plan, file, options, into=architecture.name)


def load_weights(
    model: Any, path: Path, architecture: Architecture, options: LoadOptions | None = None, *, verify: bool = True
) -> LoadReport:
    """Load a weights file into a model built from ``architecture``; the format is recognised by content.

    Args:
        model: The model.
        path: The file: HDF5 of any Keras, a ``.keras`` archive, or the published PyTorch file of a Lite.
        architecture: Its registry entry.
        options: How to load a file that leaves it open.
        verify: False for a file that is known to be whole.

    Raises:
        WeightsError: Not a weights file, damaged, or of another model; the model is unchanged.
    """
    if not architecture.with_top.is_hdf5 and keras_files.is_torch_stream(path):
        from tlkit.architectures.efficientnet_lite_weights import keras_layout

        targets = keras_files.target_layers(model)
        arrays = keras_layout([target.spec for target in targets], keras_files.read_torch_stream(path))
        report = keras_files.assign_by_name(targets, arrays, source=path.name)
    elif keras_files.is_hdf5(path) or keras_files.is_archive(path):
        report = keras_files.load_weights(
            model,
            path,
            options,
            old_names=architecture.old_names,
            constants=architecture.constants,
            preprocess=preprocess_of(architecture),
            verify=verify,
        )
    else:
        raise keras_files.foreign_error(path)
    _log_report(report, model.name, path)
    return report


def _log_report(report: LoadReport, name: str, path: Path) -> None:
    for note in report.notes:
        logger.warning("%s: %s", path, note)
    for conversion, tensors in (report.conversions or {}).items():
        logger.info("%s: converted %s (%s).", path, conversion, pluralize(tensors, "tensor"))
    if report.left_random:
        logger.warning(
            "Left random: %s of %s, because the file has nothing that fits: %s.",
            pluralize(len(report.left_random), "layer"), name, join_truncated(report.left_random),
        )  # fmt: skip
    logger.debug(
        "%s: %s in %s set from %s by %s; %s of the file not used%s.",
        name,
        pluralize(report.tensors, "tensor"),
        pluralize(report.layers, "layer"),
        path,
        report.matched_by,
        pluralize(len(report.unused), "layer"),
        f" ({join_truncated(report.unused)})" if report.unused else "",
    )

"""Build an architecture with pretrained weights."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tlkit import keras_files
from tlkit.architectures.architecture import Architecture
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

    from tlkit.keras_files import LoadReport


@dataclass(frozen=True)
class WeightsChoice:
    """The weights of a network; their file is on this machine and verified.

    Attributes:
        name: ``imagenet``, ``none``, or the given path.
        path: The file; None for random weights.
        digest: ``sha256:…`` of the file; None for random weights.
        options: How to load the file.
    """

    name: str
    path: Path | None
    digest: str | None
    options: LoadOptions

    @property
    def cache_key(self) -> dict[str, Any] | None:
        """What determines every weight, for JSON; None if some are random."""
        if self.digest is None or self.options.skip_mismatch:
            return None
        return {"digest": self.digest, **({} if self.options == LoadOptions() else dataclasses.asdict(self.options))}

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
) -> WeightsChoice:
    """Find the weights file, and download it if necessary. Keras is not imported.

    Args:
        architecture: The registry entry.
        weights: ``imagenet`` for the published weights, ``none`` for random ones, or the path of a file.
        include_top: With the ImageNet classifier or without.
        size: Input height and width, on which some published weights depend; None for the default.
        options: How to load a file that leaves it open.

    Raises:
        WeightsError: The weights cannot be found or downloaded.
        UsageError: Options for loading a file, without one.
    """
    if weights == "none" and options in (None, LoadOptions()):
        logger.warning("%s has random weights: its predictions are meaningless until it is trained.", architecture.name)
        return WeightsChoice(weights, None, None, LoadOptions())
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
    return WeightsChoice(weights, path, file_digest(path), options or LoadOptions())


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
        ArchitectureError: The size does not fit.
        WeightsError: The weights cannot be found or do not fit. Never random weights instead.
    """
    architecture.input_size(size, include_top=include_top)  # refuse before anything is downloaded
    if isinstance(weights, str):
        weights = choose_weights(architecture, weights, include_top=include_top, size=size, options=options)
    if weights.path is not None and weights.name != "imagenet":
        _check_shapes(weights.path, architecture, include_top, weights.options)
    from tlkit.architectures.build import build  # Keras starts here

    model = build(architecture, include_top=include_top, size=size)
    if weights.path is not None:
        # a published file was verified when it was located, and one that was given just now
        load_weights(model, weights.path, architecture, weights.file_options, verify=False)
    return Pretrained(model, weights.name, weights.digest)


def read_weights(
    architecture: Architecture, weights: WeightsChoice, *, include_top: bool
) -> dict[tuple[str, ...], dict[str, np.ndarray]]:
    """Read the weights of an architecture as arrays, without Keras.

    Args:
        architecture: The registry entry.
        weights: A file that has every weight.
        include_top: With the ImageNet classifier or without.

    Returns:
        ``{path and name of a layer: {role: array}}``, in the layout of Keras 3.

    Raises:
        WeightsError: Not a weights file, damaged, or of another model.
    """
    path = weights.path
    assert path is not None, "random weights have no file"
    expected = Expected.of(architecture, include_top=include_top)
    if not architecture.with_top.is_hdf5 and keras_files.is_torch_stream(path):
        from tlkit.architectures.efficientnet_lite_weights import keras_layout

        by_name = keras_layout(expected.layers, keras_files.read_torch_stream(path))
        report = keras_files.match_by_name(expected.layers, by_name, source=path.name)
        arrays: dict[tuple[str, ...], dict[str, np.ndarray]] = {
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
            "%s of %s stay random, because the file has nothing that fits: %s.",
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

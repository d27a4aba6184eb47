"""Build an architecture and give it the weights that were asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tlkit.architectures.architecture import Architecture
from tlkit.architectures.build import build
from tlkit.errors import WeightsError
from tlkit.h5.structure import is_hdf5, structure_problem
from tlkit.progress import logger
from tlkit.text import counted, printable
from tlkit.weights.digest import file_digest
from tlkit.weights.files import PackagedFile
from tlkit.weights.sources import check_weights, locate


@dataclass(frozen=True)
class Pretrained:
    """A model and where its weights are from.

    Attributes:
        model: A functional ``keras.Model``.
        weights: ``imagenet``, ``none``, or the path that was given.
        digest: ``sha256:…`` of the weights file; None for random weights.
    """

    model: Any
    weights: str
    digest: str | None


def build_pretrained(
    architecture: Architecture,
    *,
    weights: str = "imagenet",
    include_top: bool,
    size: tuple[int, int] | None = None,
) -> Pretrained:
    """Build an architecture with weights.

    Args:
        architecture: The row of the table.
        weights: ``imagenet`` for the published ones, ``none`` for random ones, or the path of a file.
        include_top: With the ImageNet classifier or without.
        size: Input height and width; None for the default.

    Raises:
        ArchitectureError: The size does not fit.
        WeightsError: The weights cannot be had or do not fit. Never random weights instead.
    """
    architecture.input_size(size, include_top=include_top)  # refuse before anything is fetched
    if weights == "none":
        logger.warning("%s has random weights; until it is trained, what it says means nothing.", architecture.name)
        return Pretrained(build(architecture, include_top=include_top, size=size), weights, None)
    path = check_weights(weights) or locate(
        architecture.weights_file(include_top=include_top), architecture=architecture.name
    )
    model = build(architecture, include_top=include_top, size=size)
    load_weights(model, path, architecture)
    return Pretrained(model, weights, file_digest(path))


def load_weights(model: Any, path: Path, architecture: Architecture) -> None:
    """Load a weights file into a model built from ``architecture``; what the file is, its content says.

    Raises:
        WeightsError: Not a weights file, damaged, or of another model.
    """
    from tlkit.weights.assign import assign_by_folder, assign_by_name, assign_in_order

    if is_hdf5(path):
        wrong = structure_problem(path)
        if wrong:
            raise WeightsError(f"{printable(path)} cannot be loaded: {wrong}.")
        from tlkit.h5.layers import is_layer_file, open_weights, saved_layers, saved_variables

        with open_weights(path) as file:
            if is_layer_file(file):
                report = assign_in_order(model, saved_layers(file), source=path.name)
            else:
                report = assign_by_folder(model, saved_variables(file), source=path.name)
    elif isinstance(architecture.with_top, PackagedFile):
        from tlkit.architectures.efficientnet_lite import keras_layout
        from tlkit.weights.torch_stream import read_torch_stream

        report = assign_by_name(model, keras_layout(model, read_torch_stream(path)), source=path.name)
    else:
        raise WeightsError(
            f"{printable(path)} cannot be loaded: {structure_problem(path)}.",
            hint="--weights takes an HDF5 weights file (.h5, .weights.h5).",
        )
    logger.debug(
        "%s: %s in %s set from %s; %s of the file not used.",
        model.name,
        counted(report.tensors, "tensor"),
        counted(report.layers, "layer"),
        printable(path),
        counted(len(report.unused), "entry", "entries"),
    )

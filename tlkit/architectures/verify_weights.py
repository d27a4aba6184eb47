"""Is a weights file the one that an architecture was published with? Answered without building a network."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tlkit import keras_files
from tlkit.architectures.architecture import Architecture
from tlkit.architectures.layer_tables import expected_layers
from tlkit.config import BuildOptions, LoadOptions
from tlkit.downloads.locate import file_problem
from tlkit.downloads.weights_file import PackagedFile, WeightsFile
from tlkit.errors import WeightsError
from tlkit.utils.text import join_truncated

if TYPE_CHECKING:
    from tlkit.keras_files import LayerSpec, Plan

LARGEST = 1e6
"""No weight of a published network is near this; a flipped bit makes 1e38 of a small number."""


def published_problem(
    architecture: Architecture, file: WeightsFile, path: Path, *, thorough: bool = False
) -> str | None:
    """What is wrong with a copy of a published file; None when nothing is.

    Its digest decides where one is published, else its layers: are they those of the architecture?

    Args:
        architecture: The row of the table.
        file: Which of its files.
        path: The copy.
        thorough: Look at the layers of a file with the right digest too, and at the values of one without a digest.
    """
    try:
        wrong = file_problem(file, path) if file.digest else None
        if isinstance(file, PackagedFile) or (file.digest and (wrong is None) and not thorough):
            return wrong
        unfit = fit_problem(path, architecture, file, values=thorough and file.digest is None)
    except OSError as error:
        return f"it cannot be read: {error.strerror}"
    return f"{wrong}; {unfit}" if wrong and unfit else wrong or unfit


def fit_problem(path: Path, architecture: Architecture, file: WeightsFile, *, values: bool = False) -> str | None:
    """Why the layers of a file are not those of the architecture, in words; None when they are.

    Names and shapes are compared, in a process of its own: a damaged file can end the one that reads it.

    Args:
        path: The copy.
        architecture: The row of the table.
        file: Which of its files it is to be.
        values: Also read every tensor and refuse numbers that no network has.
    """
    weights = next(weights for weights in architecture.published if weights.file == file)
    architecture = architecture.configured(BuildOptions(alpha=weights.alpha, data_format="channels_last"))
    expected = expected_layers(architecture, include_top=weights.include_top)
    name = f"{architecture.name} {'with' if weights.include_top else 'without'} its classifier"
    arguments = path, name, expected, dict(architecture.old_names), file.digest is None, values
    try:
        return keras_files.run_in_subprocess(_compare, *arguments, path=path)
    except WeightsError as error:
        return error.message.removeprefix(f"{path} ").rstrip(".")


def _compare(
    path: Path, name: str, expected: Sequence[LayerSpec], old_names: Mapping[str, str], exact: bool, values: bool
) -> str | None:
    wrong = keras_files.structure_problem(path)
    if wrong:
        return wrong
    with keras_files.open_file(path) as file:
        plan = keras_files.plan_loading(file, expected, LoadOptions(), old_names=old_names)
        holders = [layer for layer in file.layers if layer.tensors]
        if not holders:
            return "it holds no layer with weights"
        if not plan.complete:
            return f"it is not of {name}: {keras_files.why_not(plan, holders)}"
        if plan.unused and exact:  # a digest would tell the two files of an architecture apart
            unused = join_truncated([layer.name for layer in plan.unused], most=3)
            return f"it is not of {name}: it also holds {unused}"
        return _odd_values(plan) if values else None


def _odd_values(plan: Plan) -> str | None:
    """The first tensor with a number that no network has."""
    import numpy as np

    for layer in plan.layers:
        for tensor in layer.tensors:
            for source in tensor.sources:
                array: Any = np.asarray(source)
                extreme = float(np.abs(array).max(initial=0.0))  # NaN stays NaN
                if not math.isfinite(extreme) or extreme > LARGEST:
                    return f"it is damaged: {tensor.role} of layer {layer.expected.name} holds {extreme:.3g}"
    return None

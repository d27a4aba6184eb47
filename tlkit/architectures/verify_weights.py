"""Is a weights file the one that an architecture was published with? Answered without building a network."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tlkit.architectures.architecture import Architecture
from tlkit.architectures.layer_tables import expected_layers
from tlkit.downloads.locate import file_problem
from tlkit.downloads.weights_file import PackagedFile, WeightsFile
from tlkit.errors import WeightsError
from tlkit.utils.text import join_truncated

if TYPE_CHECKING:
    from tlkit.keras_files.loading.plan import Plan

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
    from tlkit.keras_files.hdf5.subprocess_guard import run_in_subprocess

    try:
        return run_in_subprocess(lambda: _compare(path, architecture, file, values), path)
    except WeightsError as error:
        return error.message.removeprefix(f"{path} ").rstrip(".")


def _compare(path: Path, architecture: Architecture, file: WeightsFile, values: bool) -> str | None:
    from tlkit.config import BuildOptions, LoadOptions
    from tlkit.keras_files.hdf5.validate import structure_problem
    from tlkit.keras_files.loading.load import open_saved, why_not
    from tlkit.keras_files.loading.plan import make_plan

    wrong = structure_problem(path)
    if wrong:
        return wrong
    weights = next(weights for weights in architecture.published if weights.file == file)
    architecture = architecture.configured(BuildOptions(alpha=weights.alpha, data_format="channels_last"))
    top = weights.include_top
    with open_saved(path) as (_, saved):
        wanted = expected_layers(architecture, include_top=top)
        plan = make_plan(saved, wanted, LoadOptions(), old_names=architecture.old_names)
        holders = [layer for layer in saved.layers if layer.tensors]
        whose = f"{architecture.name} {'with' if top else 'without'} its classifier"
        if not holders:
            return "it holds no layer with weights"
        if not plan.complete:
            return f"it is not of {whose}: {why_not(plan, holders)}"
        if plan.unused and file.digest is None:  # a digest would tell the two files of an architecture apart
            return (
                f"it is not of {whose}: it also holds {join_truncated([layer.name for layer in plan.unused], most=3)}"
            )
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

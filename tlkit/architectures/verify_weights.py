"""Verify published weights files against their architectures, without building a network."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tlkit.architectures.layer_tables import expected_layers
from tlkit.architectures.registry.lookup import get_architecture
from tlkit.downloads.locate import file_problem
from tlkit.downloads.weights_file import WeightsFile
from tlkit.errors import WeightsError
from tlkit.utils.text import join_truncated

if TYPE_CHECKING:
    from tlkit.keras_files.loading.plan import Plan

LARGEST = 1e6
"""No weight of a published network comes near this; a flipped bit turns a small number into 1e38."""


def published_problem(file: WeightsFile, path: Path, *, thorough: bool = False) -> str | None:
    """Return what is wrong with a copy of a published file; None if nothing is.

    Its digest decides where one was published, else its layers, compared with those of the architecture.

    Args:
        file: The published file.
        path: The copy.
        thorough: Also compare the layers of a file with the right digest, and check the values of one without a digest.
    """
    try:
        wrong = file_problem(file, path) if file.digest else None
        if not file.is_hdf5 or (file.digest and wrong is None and not thorough):
            return wrong
        unfit = fit_problem(file, path, values=thorough and file.digest is None)
    except OSError as error:
        return f"it cannot be read: {error.strerror}"
    return f"{wrong}; {unfit}" if wrong and unfit else wrong or unfit


def fit_problem(file: WeightsFile, path: Path, *, values: bool = False) -> str | None:
    """Return why the layers of a copy are not those of the architecture; None if they are.

    Names and shapes are compared in a process of its own: a damaged file can crash the one that reads it.

    Args:
        file: The published file.
        path: The copy.
        values: Also read every tensor and refuse values that no trained network has.
    """
    from tlkit.keras_files.hdf5.subprocess_guard import run_in_subprocess

    try:
        return run_in_subprocess(lambda: _compare(path, file, values), path)
    except WeightsError as error:
        return error.message.removeprefix(f"{path} ").rstrip(".")


def _compare(path: Path, file: WeightsFile, values: bool) -> str | None:
    from tlkit.config import BuildOptions, LoadOptions
    from tlkit.keras_files.hdf5.validate import structure_problem
    from tlkit.keras_files.loading.load import open_saved, why_not
    from tlkit.keras_files.loading.plan import make_plan

    wrong = structure_problem(path)
    if wrong:
        return wrong
    architecture = get_architecture(file.architecture, BuildOptions(alpha=file.alpha, data_format="channels_last"))
    top = file.top != "no"
    with open_saved(path) as (_, saved):
        expected = expected_layers(architecture, include_top=top)
        plan = make_plan(saved, expected, LoadOptions(), old_names=architecture.old_names)
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
    """Return the first tensor with a value that no trained network has."""
    import numpy as np

    for layer in plan.layers:
        for tensor in layer.tensors:
            for source in tensor.sources:
                array: Any = np.asarray(source)
                extreme = float(np.abs(array).max(initial=0.0))  # NaN stays NaN
                if not math.isfinite(extreme) or extreme > LARGEST:
                    return f"it is damaged: {tensor.role} of layer {layer.expected.name} holds {extreme:.3g}"
    return None

"""Verify published weights files against their architectures, without building a network."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tlkit import __version__, keras_files
from tlkit.architectures.layer_tables import expected_layers
from tlkit.architectures.registry.lookup import get_architecture
from tlkit.config import BuildOptions, LoadOptions
from tlkit.downloads.locate import file_problem
from tlkit.downloads.weights_file import WeightsFile
from tlkit.errors import WeightsError
from tlkit.utils.findings import recall, remember, same_version
from tlkit.utils.text import join_truncated

if TYPE_CHECKING:
    from tlkit.keras_files import LayerSpec, Plan

LARGEST = 1e6
"""No weight of a published network comes near this; a flipped bit turns a small number into 1e38."""


def published_problem(file: WeightsFile, path: Path, *, thorough: bool = False) -> str | None:
    """Return what is wrong with a copy of a published file; None if nothing is.

    Its digest decides where one was published, else its layers, compared with those of the architecture. A version of a
    file that was found good is not read again.

    Args:
        file: The published file.
        path: The copy.
        thorough: Read it, whatever was found before; also compare the layers of a file with the right digest, and check
            the values of one without a digest.
    """
    try:
        wrong = file_problem(file, path, read=thorough) if file.digest else None
        if not file.is_hdf5 or (file.digest and wrong is None and not thorough):
            return wrong
        unfit = fit_problem(file, path, values=file.digest is None) if thorough else _unfit_once(file, path)
    except OSError as error:
        return f"it cannot be read: {error.strerror}"
    return f"{wrong}; {unfit}" if wrong and unfit else wrong or unfit


def _unfit_once(file: WeightsFile, path: Path) -> str | None:
    """Return :func:`fit_problem`; a version of a file that fits is not read again."""
    question, status = f"fits {file.name}, as tlkit {__version__} compares", path.stat()
    if recall(question, path, status):
        return None
    unfit = fit_problem(file, path)
    if unfit is None and same_version(status, path.stat()):
        remember(question, path, status, "yes")
    return unfit


def fit_problem(file: WeightsFile, path: Path, *, values: bool = False) -> str | None:
    """Return why the layers of a copy are not those of the architecture; None if they are.

    Names and shapes are compared in a process of its own: a damaged file can crash the one that reads it.

    Args:
        file: The published file.
        path: The copy.
        values: Also read every tensor and refuse values that no trained network has.
    """
    architecture = get_architecture(file.architecture, BuildOptions(alpha=file.alpha, data_format="channels_last"))
    expected = expected_layers(architecture, include_top=file.top != "no")
    name = f"{architecture.name} {'with' if file.top != 'no' else 'without'} its classifier"
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

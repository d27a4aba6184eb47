"""Put arrays into the layers of a model: everything fits and is set, or nothing is touched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tlkit.errors import WeightsError
from tlkit.keras_files.loading.grouped_conv import check_sums
from tlkit.keras_files.loading.layer_spec import TargetLayer
from tlkit.keras_files.loading.plan import Plan, TensorPlan
from tlkit.utils.text import join_truncated, pluralize


@dataclass(frozen=True)
class LoadReport:
    """What a load did.

    Attributes:
        layers: Layers that were set.
        tensors: Tensors that were set.
        matched_by: ``order`` or ``name``.
        unused: Layers of the source that the model has no place for.
        left_random: Layers of the model that were left as they were, only when that was asked for.
        conversions: What was done to how many tensors, in words.
        notes: What a person should know.
    """

    layers: int
    tensors: int
    matched_by: str = "name"
    unused: tuple[str, ...] = ()
    left_random: tuple[str, ...] = ()
    conversions: Mapping[str, int] | None = None
    notes: tuple[str, ...] = ()


def assign_by_name(
    places: Sequence[TargetLayer], arrays: Mapping[str, Sequence[np.ndarray]], *, source: str
) -> LoadReport:
    """Set every layer from the arrays under its name.

    Args:
        places: The layers of a model.
        arrays: ``{layer name: arrays in saved order}``.
        source: What the arrays are from, for messages.

    Raises:
        WeightsError: A layer has no arrays, or shapes differ; the model is as it was.
    """
    missing = [place.spec.name for place in places if place.spec.name not in arrays]
    if missing:
        raise WeightsError(f"{source} has nothing for {pluralize(len(missing), 'layer')}: {join_truncated(missing)}.")
    for place in places:
        got = [tuple(array.shape) for array in arrays[place.spec.name]]
        expected = [shape for _, shape in place.spec.tensors]
        if got != expected:
            raise WeightsError(f"{source} does not fit: layer {place.spec.name} wants {expected}, the file has {got}.")
    _set([(place, arrays[place.spec.name]) for place in places])
    names = {place.spec.name for place in places}
    return LoadReport(
        len(places),
        sum(len(place.variables) for place in places),
        unused=tuple(name for name in arrays if name not in names),
    )


def assign_plan(places: Sequence[TargetLayer], plan: Plan) -> LoadReport:
    """Carry out a plan. Every value is read, judged and converted before the first is set.

    Args:
        places: The layers of a model, as the plan was made for.
        plan: The plan.

    Raises:
        WeightsError: A layer that was to be left out does more than add up.
        Whatever HDF5 raises on damage; the model is as it was.
    """
    check_sums(plan.sums)
    # the shapes fit, so this takes as much memory as the model has weights
    _set([(places[layer.position], [_value(tensor) for tensor in layer.tensors]) for layer in plan.layers])
    return LoadReport(
        len(plan.layers),
        sum(len(layer.tensors) for layer in plan.layers),
        plan.matched_by,
        tuple(layer.name for layer in plan.unused),
        tuple(layer.name for layer in (*plan.missing, *(expected for expected, *_ in plan.mismatched))),
        plan.conversions,
        plan.notes,
    )


def _value(tensor: TensorPlan) -> np.ndarray:
    arrays = [np.asarray(source) for source in tensor.sources]
    value = arrays[0] if len(arrays) == 1 else np.concatenate(arrays, axis=-1)
    for step in tensor.conversions:
        value = step.apply(value)
    return value


def _set(values: Sequence[tuple[TargetLayer, Sequence[np.ndarray]]]) -> None:
    for place, arrays in values:
        for variable, array in zip(place.variables, arrays, strict=True):
            variable.assign(array)
        if hasattr(place.layer, "finalize_state"):  # Normalization computes with copies of its weights
            place.layer.finalize_state()

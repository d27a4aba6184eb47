"""Assign arrays to the layers of a model: all of them, or none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tlkit.errors import WeightsError
from tlkit.keras_files.legacy_names import LORA
from tlkit.keras_files.loading.grouped_conv import check_sums
from tlkit.keras_files.loading.layer_spec import LayerSpec, TargetLayer
from tlkit.keras_files.loading.plan import Plan, TensorPlan
from tlkit.utils.text import join_truncated, pluralize


@dataclass(frozen=True)
class LoadReport:
    """The result of loading a file.

    Attributes:
        layers: Layers that were set.
        tensors: Tensors that were set.
        matched_by: ``order`` or ``name``.
        unused: Layers of the source that the model does not have.
        left_random: Layers of the model that were left unchanged, only with ``skip_mismatch``.
        conversions: Each conversion in words, and how many tensors it was applied to.
        notes: Remarks for the user.
    """

    layers: int
    tensors: int
    matched_by: str = "name"
    unused: tuple[str, ...] = ()
    left_random: tuple[str, ...] = ()
    conversions: Mapping[str, int] | None = None
    notes: tuple[str, ...] = ()


def assign_by_name(
    targets: Sequence[TargetLayer], arrays: Mapping[str, Sequence[np.ndarray]], *, source: str
) -> LoadReport:
    """Assign every layer the arrays under its name.

    Args:
        targets: The layers of a model.
        arrays: ``{layer name: arrays in saved order}``.
        source: What the arrays are from, for messages.

    Raises:
        WeightsError: A layer has no arrays, or shapes differ; the model is unchanged.
    """
    report = match_by_name([target.spec for target in targets], arrays, source=source)
    _set([(target, arrays[target.spec.name]) for target in targets])
    return report


def match_by_name(
    expected: Sequence[LayerSpec], arrays: Mapping[str, Sequence[np.ndarray]], *, source: str
) -> LoadReport:
    """Check that every layer has the arrays that it expects, under its name.

    Args:
        expected: The layers of a network.
        arrays: ``{layer name: arrays in saved order}``.
        source: What the arrays are from, for messages.

    Raises:
        WeightsError: A layer has no arrays, or shapes differ.
    """
    missing = [layer.name for layer in expected if layer.name not in arrays]
    if missing:
        raise WeightsError(f"{source} has nothing for {pluralize(len(missing), 'layer')}: {join_truncated(missing)}.")
    for layer in expected:
        got, wanted = [tuple(array.shape) for array in arrays[layer.name]], [shape for _, shape in layer.tensors]
        if got != wanted:
            raise WeightsError(f"{source} does not fit: layer {layer.name} has {wanted}, the file {got}.")
    names = {layer.name for layer in expected}
    return LoadReport(
        len(expected),
        sum(len(layer.tensors) for layer in expected),
        unused=tuple(name for name in arrays if name not in names),
    )


def assign_arrays(targets: Sequence[TargetLayer], arrays: Mapping[tuple[str, ...], Mapping[str, np.ndarray]]) -> None:
    """Assign every layer the arrays under its path and name; the counterpart of ``layer_arrays``.

    Args:
        targets: Layers of a model.
        arrays: ``{path and name of a layer: {role: array}}``, of the shapes that the layers have.
    """
    own = [(target, arrays[*target.spec.path, target.spec.name]) for target in targets]
    _set([(target, [values[role] for role, _ in target.spec.tensors]) for target, values in own])


def assign_plan(targets: Sequence[TargetLayer], plan: Plan) -> LoadReport:
    """Carry out a plan. Every value is read, checked and converted before the first is set.

    Args:
        targets: The layers of a model, as the plan was made for.
        plan: The plan.

    Raises:
        WeightsError: A layer that was to be left out does more than sum channels; the model is unchanged.
        Exception: Whatever h5py raises on damage; the model is unchanged.
    """
    check_sums(plan.sums)
    # the shapes fit, so this takes as much memory as the model has weights
    _set([(targets[layer.position], [_value(tensor) for tensor in layer.tensors]) for layer in plan.layers])
    return report_of(plan)


def read_arrays(plan: Plan) -> dict[tuple[str, ...], dict[str, np.ndarray]]:
    """Read what a plan would assign, for a network that is no Keras model.

    Args:
        plan: The plan.

    Returns:
        ``{path and name of a layer: {key of :attr:`LayerSpec.keys`: array}}``, in the layout of Keras 3.

    Raises:
        WeightsError: A layer that was to be left out does more than sum channels.
        Exception: Whatever h5py raises on damage.
    """
    check_sums(plan.sums)
    return {
        (*layer.expected.path, layer.expected.name): {
            key: _value(tensor) for key, tensor in zip(layer.expected.keys, layer.tensors, strict=True)
        }
        for layer in plan.layers
    }


def report_of(plan: Plan) -> LoadReport:
    """Return what carrying out a plan sets, converts and leaves out."""
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
    for target, arrays in values:
        for variable, array in zip(target.variables, arrays, strict=True):
            variable.assign(array)
        if getattr(target.layer, "lora_enabled", False):  # the kernel has it merged already
            for variable in target.layer.weights:
                if variable.name.startswith(LORA) and variable.name.endswith("_b"):
                    variable.assign(np.zeros(variable.shape))
        if hasattr(target.layer, "finalize_state"):  # Normalization computes with copies of its weights
            target.layer.finalize_state()

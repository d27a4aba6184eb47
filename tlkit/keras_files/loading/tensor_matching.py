"""Match the tensors of two layers: by role where the file records it, else by position."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tlkit.keras_files.layers import SavedLayer, SavedTensor
from tlkit.keras_files.legacy_names import snake_case
from tlkit.keras_files.loading.grouped_conv import group_kernel, is_depthwise_form
from tlkit.keras_files.loading.layer_spec import LayerSpec, Shape
from tlkit.keras_files.loading.transforms import GATE_NAMES, GATES, Conversion


@dataclass(frozen=True)
class TensorMatch:
    """A tensor of the network and what it is made of.

    Attributes:
        role: What it is.
        shape: In the network.
        sources: Datasets of the file; several are joined along the last axis.
    """

    role: str
    shape: Shape
    sources: tuple[Any, ...]

    @property
    def saved_shape(self) -> Shape:
        """The shape of the sources, joined."""
        first = tuple(self.sources[0].shape)
        return first if len(self.sources) == 1 else (*first[:-1], sum(source.shape[-1] for source in self.sources))


@dataclass(frozen=True)
class LayerMatch:
    """A layer of the network whose every tensor has a counterpart; shapes are not yet compared.

    Attributes:
        expected: The layer.
        tensors: Its tensors.
        conversion: What its kernel goes through, where the layer of the file shows that, whatever the file's layout.
    """

    expected: LayerSpec
    tensors: tuple[TensorMatch, ...]
    conversion: Conversion | None = None


def match_layer(saved: SavedLayer, expected: LayerSpec) -> LayerMatch | str:
    """Match the tensors of two layers, or return why they are not the same layer."""
    kind = snake_case(expected.kind)
    if is_depthwise_form(saved, expected):
        (role, shape), (tensor,) = expected.tensors[0], saved.tensors
        return LayerMatch(expected, (TensorMatch(role, shape, (tensor.values,)),), group_kernel(expected.groups))
    if saved.kind is not None and saved.kind != kind:
        return f"it is a {saved.kind} in the file and a {kind} here"
    if quantized := next((tensor.values.dtype for tensor in saved.tensors if tensor.values.dtype.itemsize == 1), None):
        return f"it is quantized to {quantized} in the file, and tlkit computes with floating point"
    gates = GATES.get(kind)
    if gates and len(expected.tensors) == 3 and len(saved.tensors) == sum(map(len, gates)):
        # One array a gate, until Keras 1; biases have one axis, kernels two.
        tensors = _gates_by_name(saved.tensors, kind) or saved.tensors
        groups = [tuple(tensors[position].values for position in group) for group in gates]
        if any(len({source.shape[:-1] for source in group}) > 1 or not group[0].shape for group in groups):
            return f"its gates differ in shape: {_shapes(saved)}"
        return LayerMatch(
            expected,
            tuple(
                TensorMatch(role, shape, group) for (role, shape), group in zip(expected.tensors, groups, strict=True)
            ),
        )
    if len(saved.tensors) != len(expected.tensors):
        return f"it has {_shapes(saved)} in the file and {_describe(expected)} here"
    parts = {tensor.name.partition("vars/")[0] for tensor in saved.tensors if "/vars/" in tensor.name}
    ordered = (
        _by_path(saved.tensors, expected) if len(parts) > 1 else _by_role(saved.tensors, expected) or saved.tensors
    )
    if ordered is None:
        return f"it is made of parts that are not the same here: {', '.join(sorted(parts))}"
    if _only_one_normalizes(saved.tensors, expected):
        return f"it has {_shapes(saved)} in the file and {_describe(expected)} here"
    return LayerMatch(
        expected,
        tuple(
            TensorMatch(role, shape, (tensor.values,))
            for (role, shape), tensor in zip(expected.tensors, ordered, strict=True)
        ),
    )


def _gates_by_name(tensors: tuple[SavedTensor, ...], kind: str) -> tuple[SavedTensor, ...] | None:
    """Return the tensors of the gates in the order of Keras 1, by their names; None if names do not tell."""
    roles = {tensor.role: tensor for tensor in tensors}
    expected = [f"{role}_{gate}" for gate in GATE_NAMES[kind] for role in ("kernel", "recurrent_kernel", "bias")]
    return tuple(roles[role] for role in expected) if set(roles) == set(expected) else None


_NORMALISING = {"gamma", "beta", "moving_mean", "moving_variance"}


def _only_one_normalizes(tensors: tuple[SavedTensor, ...], expected: LayerSpec) -> bool:
    """Return True if one of the two is a normalization and the other is not."""
    known = {tensor.role for tensor in tensors}
    return None not in known and bool(known & _NORMALISING) != bool(
        {role for role, _ in expected.tensors} & _NORMALISING
    )


def _by_role(tensors: tuple[SavedTensor, ...], expected: LayerSpec) -> tuple[SavedTensor, ...] | None:
    """Return the tensors in the network's order of roles; None if the roles differ.

    A layer saved frozen may have its tensors in another order than one that trains.
    """
    roles = {tensor.role: tensor for tensor in tensors}
    names = [role for role, _ in expected.tensors]
    if expected.kind == "DepthwiseConv2D" and "depthwise_kernel" in roles:  # until Keras 3
        roles["kernel"] = roles.pop("depthwise_kernel")
    if len(roles) == len(tensors) and len(set(names)) == len(names) and set(roles) == set(names):
        return tuple(roles[name] for name in names)
    return None


def _by_path(tensors: tuple[SavedTensor, ...], expected: LayerSpec) -> tuple[SavedTensor, ...] | None:
    """Return the tensors in the network's order, by the folders of the layer's parts; None if those differ.

    The query and the key of an attention have the same shapes: order alone would swap them.
    """
    by_place = {tensor.name.replace("/_", "/").lstrip("_"): tensor for tensor in tensors}
    if len(expected.variable_paths) == len(tensors) and set(expected.variable_paths) == set(by_place):
        return tuple(by_place[place] for place in expected.variable_paths)
    return None


def _shapes(saved: SavedLayer) -> str:
    return _named(
        [(tensor.role or tensor.name.rsplit("/", 1)[-1], tuple(tensor.values.shape)) for tensor in saved.tensors]
    )


def _describe(expected: LayerSpec) -> str:
    return _named(expected.tensors)


def _named(tensors: Any) -> str:
    return ", ".join(f"{role} {shape}" for role, shape in tensors)

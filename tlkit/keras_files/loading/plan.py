"""Plan which tensor of a file goes where in a network, and through which conversions, before anything is read.

:func:`plan_loading` compares names and shapes and returns a :class:`Plan`; ``inspect-h5 --arch`` prints one, and
:mod:`tlkit.keras_files.loading.assign` carries one out.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tlkit.config import LoadOptions
from tlkit.keras_files.keras_file import KerasFile
from tlkit.keras_files.layers import SavedLayer
from tlkit.keras_files.legacy_names import numbered, snake_case
from tlkit.keras_files.loading.computation import differences
from tlkit.keras_files.loading.grouped_conv import CHECKED, without_sums
from tlkit.keras_files.loading.layer_matching import BETWEEN, Matching, matchings
from tlkit.keras_files.loading.layer_spec import LayerSpec
from tlkit.keras_files.loading.layout import LayoutHints, decide_layout
from tlkit.keras_files.loading.lora import merge_lora
from tlkit.keras_files.loading.steps import Network, read_network
from tlkit.keras_files.loading.tensor_matching import LayerMatch, match_layer
from tlkit.keras_files.loading.transforms import Conversion
from tlkit.keras_files.types import Header
from tlkit.utils.text import join_truncated

QUESTIONS = {
    "layout": "whether it was trained with channels first (--layout th) or last (--layout tf)",
    "flip_kernels": "whether its kernels are Theano's (--flip-kernels) or TensorFlow's (--no-flip-kernels)",
}
"""What a file may not record, in words."""


@dataclass(frozen=True)
class TensorPlan:
    """One tensor of the network.

    Attributes:
        role: What it is.
        sources: The tensors of the file that it is made of; more than one are joined along the last axis.
        conversions: What is done to them, in order.
    """

    role: str
    sources: tuple[Any, ...]
    conversions: tuple[Conversion, ...]


@dataclass(frozen=True)
class LayerPlan:
    """One layer of the network that the file has everything for."""

    expected: LayerSpec
    saved: SavedLayer
    tensors: tuple[TensorPlan, ...]
    position: int


@dataclass(frozen=True)
class Plan:
    """How a file loads into a network.

    Attributes:
        matched_by: ``order`` or ``name``.
        layers: The layers that can be set.
        missing: Layers of the network that the file has nothing for.
        mismatched: ``(layer of the network, layer of the file, why)``.
        unused: Layers of the file that the network does not have.
        questions: What the file does not record and the user must choose: keys of :data:`QUESTIONS`.
        conversions: Each conversion in words, and how many tensors it is for.
        notes: Remarks for the user.
        network_layers: How many layers with weights the network has.
        sums: Layers of the file that the network does not need, once
            :func:`tlkit.keras_files.loading.grouped_conv.check_sums` has verified that they only sum channels.
        differences: What the network in the file computes in another way, in words; empty where the file does not
            describe one.
    """

    matched_by: str
    layers: tuple[LayerPlan, ...]
    missing: tuple[LayerSpec, ...]
    mismatched: tuple[tuple[LayerSpec, SavedLayer, str], ...]
    unused: tuple[SavedLayer, ...]
    questions: tuple[str, ...]
    conversions: Mapping[str, int]
    notes: tuple[str, ...]
    network_layers: int
    sums: tuple[SavedLayer, ...] = ()
    differences: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Return True when every tensor of the network has a match."""
        return not self.missing and not self.mismatched and self.network_layers > 0

    @property
    def lacks_only_classifier(self) -> bool:
        """Return True when all that has no match is the classifier, and something else has one."""
        unmatched = [*self.missing, *(layer for layer, *_ in self.mismatched)]
        kept = [layer for layer in self.layers if not layer.expected.in_classifier]
        return bool(unmatched and kept) and all(layer.in_classifier for layer in unmatched) and not self.differences

    @property
    def has_gaps(self) -> bool:
        """Return True when the file has unused layers between used ones: it may be of another, larger network."""
        return BETWEEN in self.notes

    @property
    def asks(self) -> tuple[str, ...]:
        """The questions in words."""
        return tuple(QUESTIONS[question] for question in self.questions)

    @property
    def problems(self) -> int:
        """How many layers of the network have no match."""
        return len(self.missing) + len(self.mismatched)


def plan_loading(
    file: KerasFile,
    expected: Sequence[LayerSpec],
    options: LoadOptions,
    *,
    old_names: Mapping[str, str] | None = None,
    constants: Mapping[str, Mapping[str, Any]] | None = None,
    network: Network | None = None,
) -> Plan:
    """Match a file with a network.

    In a full model the network may be a model inside it, or its first layers. The first matching that is complete and
    computes the same is returned, else the one with the fewest problems.

    Args:
        file: The file.
        expected: The layers of the network, in order.
        options: How to load; by name or order, layout and flip.
        old_names: ``{name of a layer in old files: its name today}``.
        constants: ``{layer: {role: values}}`` for layers that a file may lack.
        network: What the network computes, compared with what the file describes; None to compare weights alone.
    """
    holders, sums = without_sums(merge_lora([layer for layer in file.layers if layer.tensors], file.header), expected)
    described = None
    if network is not None and isinstance(file.header.raw_config, dict):
        described = read_network(file.header.raw_config, keras_version=file.header.keras_version)
    best: Plan | None = None
    for wanted in (expected, _without(expected, constants or {}, holders)):
        for matching in matchings(holders, wanted, by_name=options.by_name, old_names=old_names or {}):
            plan = _plan(file.header, matching, wanted, options, sums)
            if wanted is not expected:
                if not plan.complete:
                    continue
                plan = _with_constants(plan, expected, constants or {})
            if described and network and (plan.complete or options.skip_mismatch):
                plan = _compared(plan, described, network, constants or {})
            if plan.complete and not plan.differences:
                return plan
            if best is None or (plan.problems, len(plan.differences)) < (best.problems, len(best.differences)):
                best = plan
        if wanted is expected and not constants:
            break
    assert best is not None, "there is always a matching of the whole file"
    return best


def _without(
    expected: Sequence[LayerSpec], constants: Mapping[str, Mapping[str, Any]], holders: Sequence[SavedLayer]
) -> Sequence[LayerSpec]:
    """Return the layers without those that have constants, if the file has none of their kind."""
    kinds = {snake_case(layer.kind) for layer in expected if layer.name in constants}
    if any(layer.kind in kinds or numbered(layer.name)[0] in kinds for layer in holders):
        return expected
    return [layer for layer in expected if layer.name not in constants]


def _with_constants(plan: Plan, expected: Sequence[LayerSpec], constants: Mapping[str, Mapping[str, Any]]) -> Plan:
    """Return the plan for all layers: those that it was made without are set to constants."""
    position = {id(layer): number for number, layer in enumerate(expected)}
    layers = [dataclasses.replace(layer, position=position[id(layer.expected)]) for layer in plan.layers]
    for number, layer in enumerate(expected):
        if layer.name in constants:
            values = constants[layer.name]
            tensors = tuple(
                TensorPlan(role, (np.broadcast_to(np.asarray(values[role], np.float32), shape),), ())
                for role, shape in layer.tensors
            )
            layers.append(LayerPlan(layer, SavedLayer(layer.name, ()), tensors, number))
    names = join_truncated([layer.name for layer in expected if layer.name in constants])
    note = f"It has no layer {names}; pixels are normalized with ImageNet's mean and standard deviation instead."
    return dataclasses.replace(
        plan,
        layers=tuple(sorted(layers, key=lambda layer: layer.position)),
        notes=(*plan.notes, note),
        network_layers=len(expected),
    )


def _compared(plan: Plan, described: Network, network: Network, constants: Mapping[str, Any]) -> Plan:
    """Return the plan with what the network in the file computes in another way."""
    pairs, assumed = [], []
    for layer in plan.layers:
        other = network.find(layer.expected.path, layer.expected.name)
        mine = described.find(layer.saved.path, layer.saved.name)
        if other and not layer.saved.tensors and layer.expected.name in constants:
            other.options.update(constants[layer.expected.name])
            assumed.append(other)
        elif mine and other:
            pairs.append((mine, other))
    sums = [step for layer in plan.sums if (step := described.find(layer.path, layer.name))]
    found, notes = differences(described, network, pairs, assumed=assumed, sums=sums, whole=plan.complete)
    return dataclasses.replace(plan, differences=found, notes=(*plan.notes, *notes))


def _plan(
    header: Header,
    matching: Matching,
    expected: Sequence[LayerSpec],
    options: LoadOptions,
    sums: Sequence[SavedLayer],
) -> Plan:
    evidence = LayoutHints(header, [saved for _, saved in matching.pairs])
    fits: list[tuple[int, SavedLayer, LayerMatch | str]] = [
        (position, saved, match_layer(saved, expected[position])) for position, saved in matching.pairs
    ]
    layout = decide_layout(
        evidence,
        [fit for *_, fit in fits if not isinstance(fit, str)],
        layout=options.layout,
        flip=options.flip_kernels,
    )
    layers, mismatched = [], []
    conversions: Counter[str] = Counter({CHECKED: len(sums)} if sums else {})
    for position, saved, fit in fits:
        planned = fit if isinstance(fit, str) else layout.convert(fit)
        if isinstance(planned, str):
            mismatched.append((expected[position], saved, planned))
            continue
        tensors = tuple(TensorPlan(role, sources, steps) for role, sources, steps in planned)
        layers.append(LayerPlan(expected[position], saved, tensors, position))
        conversions.update(step.name for tensor in tensors for step in tensor.conversions)
    paired = {position for position, _ in matching.pairs}
    return Plan(
        matched_by=matching.matched_by,
        layers=tuple(layers),
        missing=tuple(layer for position, layer in enumerate(expected) if position not in paired),
        mismatched=tuple(mismatched),
        unused=tuple(matching.unused),
        questions=layout.questions,
        conversions=dict(conversions),
        notes=(*matching.notes, *layout.notes),
        network_layers=len(expected),
        sums=tuple(sums),
    )

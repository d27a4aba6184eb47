"""Plan which tensor of a file goes where in a network, and through which conversions, before anything is read.

:func:`plan_loading` compares names and shapes and returns a :class:`Plan`; ``inspect-h5 --arch`` prints one, and
:mod:`tlkit.keras_files.loading.assign` carries one out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tlkit.config import LoadOptions
from tlkit.keras_files.keras_file import KerasFile
from tlkit.keras_files.layers import SavedLayer
from tlkit.keras_files.loading.grouped_conv import CHECKED, without_sums
from tlkit.keras_files.loading.layer_matching import BETWEEN, Matching, matchings
from tlkit.keras_files.loading.layer_spec import LayerSpec
from tlkit.keras_files.loading.layout import LayoutHints, decide_layout
from tlkit.keras_files.loading.tensor_matching import LayerMatch, match_layer
from tlkit.keras_files.loading.transforms import Conversion
from tlkit.keras_files.types import Header

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

    @property
    def complete(self) -> bool:
        """Return True when every tensor of the network has a match."""
        return not self.missing and not self.mismatched and self.network_layers > 0

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
) -> Plan:
    """Match a file with a network.

    In a full model the network may be a model inside it, or its first layers. The first matching that is complete is
    returned, else the one with the fewest problems.

    Args:
        file: The file.
        expected: The layers of the network, in order.
        options: How to load; by name or order, layout and flip.
        old_names: ``{name of a layer in old files: its name today}``.
    """
    holders, sums = without_sums([layer for layer in file.layers if layer.tensors], expected)
    best: Plan | None = None
    for matching in matchings(holders, expected, by_name=options.by_name, old_names=old_names or {}):
        plan = _plan(file.header, matching, expected, options, sums)
        if plan.complete:
            return plan
        if best is None or plan.problems < best.problems:
            best = plan
    assert best is not None, "there is always a matching of the whole file"
    return best


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

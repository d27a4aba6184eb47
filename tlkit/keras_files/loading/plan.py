"""Which tensor of a file goes where in a network, and through which conversions: decided before anything is read.

:func:`make_plan` looks at names and shapes and returns a :class:`Plan`; ``inspect-h5 --arch`` prints one, and
:mod:`tlkit.keras_files.loading.assign` carries one out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tlkit.config import LoadOptions
from tlkit.keras_files.layers import SavedLayer
from tlkit.keras_files.loading.grouped_conv import CHECKED, without_sums
from tlkit.keras_files.loading.layer_matching import Matching, matchings
from tlkit.keras_files.loading.layer_spec import LayerSpec
from tlkit.keras_files.loading.layout import LayoutHints, decide_layout
from tlkit.keras_files.loading.tensor_matching import LayerMatch, match_layer
from tlkit.keras_files.loading.transforms import Conversion
from tlkit.keras_files.types import Header


@dataclass(frozen=True)
class SavedFile:
    """A file as the plan sees it: what it says of itself, and its layers."""

    header: Header
    layers: Sequence[SavedLayer]


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
        unused: Layers of the file that the network has no place for.
        questions: What the file leaves open and a person must say: ``layout``, ``flip_kernels``.
        conversions: What is done to how many tensors, in words.
        notes: What a person should know.
        expected: How many layers the network has.
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
    expected: int
    sums: tuple[SavedLayer, ...] = ()

    @property
    def complete(self) -> bool:
        """True when every tensor of the network has its partner."""
        return not self.missing and not self.mismatched and self.expected > 0

    @property
    def problems(self) -> int:
        """How many layers of the network go without."""
        return len(self.missing) + len(self.mismatched)


def make_plan(
    file: SavedFile,
    expected: Sequence[LayerSpec],
    options: LoadOptions,
    *,
    old_names: Mapping[str, str] | None = None,
) -> Plan:
    """Match a file with a network.

    In a full model the network may be a model inside it, or its first layers. The first way to match that leaves
    nothing of the network open is taken; where none does, the one that leaves least.

    Args:
        file: The file.
        expected: The layers of the network, in order.
        options: What was asked for.
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
    assert best is not None, "there is always a pairing of the whole file"
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
        expected=len(expected),
        sums=tuple(sums),
    )

"""Where the base is cut: the layers below stay frozen, the layers above train in phase 2."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from tlkit.architectures.architecture import Architecture
from tlkit.architectures.layer_tables import LayerInfo
from tlkit.config import AUTO
from tlkit.errors import UsageError
from tlkit.utils.text import did_you_mean, pluralize


@dataclass(frozen=True)
class FreezePoint:
    """A cut between the frozen and the trainable layers of a base.

    Attributes:
        frozen: Number of frozen layers, from the input.
        total: Number of layers of the base.
        last_frozen_layer: Name of the last frozen layer; None when all train.
        notes: What to know about this cut.
    """

    frozen: int
    total: int
    last_frozen_layer: str | None
    notes: tuple[str, ...] = ()

    @property
    def description(self) -> str:
        """One line: what is frozen and what trains."""
        if self.last_frozen_layer is None:
            return f"all {self.total} layers of the base train"
        if self.frozen == self.total:
            return f"all {self.total} layers of the base are frozen"
        return f"layers 1-{self.frozen} of {self.total} are frozen (through {self.last_frozen_layer})"


def resolve_freeze_point(
    architecture: Architecture,
    layers: Sequence[str],
    *,
    freeze: str | None = None,
    unfreeze: int | None = None,
    unfreeze_blocks: int | None = None,
) -> FreezePoint:
    """Resolve the freezing options to a number of layers.

    Args:
        architecture: The architecture of the base.
        layers: Names of its layers, in order.
        freeze: Number of layers from the input, or the name of the last frozen layer or block; None for the default
            of the architecture, and ``auto`` too, until the images are counted.
        unfreeze: Instead, number of layers at the top that train.
        unfreeze_blocks: Instead, number of blocks at the top that train; with all of them, every layer does.

    Raises:
        UsageError: More than one is given, a number out of range, or no layer of that name.
    """
    total = len(layers)
    given = {"--freeze": freeze, "--unfreeze": unfreeze, "--unfreeze-blocks": unfreeze_blocks}
    names = [option for option, value in given.items() if value is not None]
    if len(names) > 1:
        raise UsageError(f"{' and '.join(names)} contradict each other; use one of them.")
    notes: tuple[str, ...] = ()
    if unfreeze is not None:
        frozen = total - _in_range(unfreeze, total, "--unfreeze", architecture)
    elif unfreeze_blocks is not None:
        frozen = _below_blocks(architecture, layers, unfreeze_blocks)
    elif freeze in (None, AUTO):
        frozen = layers.index(architecture.freeze) + 1
    elif re.fullmatch(r"[+-]?\d+", freeze, re.ASCII):
        frozen = _in_range(int(freeze), total, "--freeze", architecture)
        notes = _explain(architecture, layers, frozen)
    elif freeze in layers:
        frozen = layers.index(freeze) + 1
    else:
        raise UsageError(
            f"{architecture.name} has no layer {freeze!r} to freeze through.",
            hint=did_you_mean(freeze, [*architecture.blocks, *layers])
            or f"`tlkit archs {architecture.name}` lists its layers.",
        )
    return FreezePoint(frozen, total, layers[frozen - 1] if frozen else None, notes)


def depth_in_blocks(architecture: Architecture, layers: Sequence[str]) -> dict[str, int]:
    """Return how many blocks from the top each layer is: 1 in the topmost block and above it.

    Args:
        architecture: The architecture of the base.
        layers: Names of its layers, in order.
    """
    ends = [layers.index(name) for name in architecture.blocks]
    return {name: max(1, sum(end >= position for end in ends)) for position, name in enumerate(layers)}


AFFORDABLE = 2e13
"""Multiplications that ``--freeze auto`` allows a training: half an hour on two processors."""


def affordable_freeze_point(
    architecture: Architecture, layers: Sequence[LayerInfo], *, scale: float, images: int, epochs: int
) -> FreezePoint:
    """Return the deepest cut at the end of a block that trains in reasonable time; at least the architecture's own.

    Args:
        architecture: The architecture of the base.
        layers: Its layers, in order, at its default input size.
        scale: Pixels of an input, as a multiple of those of the default.
        images: Number of training images.
        epochs: Number of epochs.
    """
    names = [layer.name for layer in layers]
    # forward, and twice as much back: to the inputs and to the kernels
    costs = [3 * images * epochs * scale * layer.multiplications for layer in layers]
    ends = [0, *(names.index(block) + 1 for block in architecture.blocks)]
    default = names.index(architecture.freeze) + 1
    frozen = next(end for end in ends if end == default or (end < default and sum(costs[end:]) <= AFFORDABLE))
    trains = "the whole base trains" if not frozen else f"what is above {names[frozen - 1]} trains"
    note = f"--freeze auto: with {pluralize(images, 'training image')} and {pluralize(epochs, 'epoch')}, {trains}."
    return FreezePoint(frozen, len(layers), names[frozen - 1] if frozen else None, (note,))


def resolve_stages(architecture: Architecture, layers: Sequence[str], stages: Sequence[str]) -> tuple[FreezePoint, ...]:
    """Resolve the freeze points of staged unfreezing, from the top of the base down.

    Args:
        architecture: The architecture of the base.
        layers: Names of its layers, in order.
        stages: For each stage a ``freeze`` of :func:`resolve_freeze_point`.

    Raises:
        UsageError: A stage does not unfreeze more than the one before it.
    """
    freeze_points = tuple(resolve_freeze_point(architecture, layers, freeze=stage) for stage in stages)
    for (before, upper), (after, lower) in itertools.pairwise(zip(stages, freeze_points, strict=True)):
        if lower.frozen >= upper.frozen:
            raise UsageError(
                f"--stages {','.join(stages)}: freezing through {after} trains no more than "
                f"freezing through {before} before it.",
                hint="Name the stages from the top of the network down: --stages mixed9,mixed8,mixed7.",
            )
    return freeze_points


def _below_blocks(architecture: Architecture, layers: Sequence[str], number: int) -> int:
    blocks = architecture.blocks
    if number > len(blocks):
        raise UsageError(
            f"--unfreeze-blocks {number} is out of range: {architecture.name} has {pluralize(len(blocks), 'block')}.",
            hint=f"`tlkit archs {architecture.name}` lists them.",
        )
    if number == 0:
        return len(layers)
    return layers.index(blocks[-number - 1]) + 1 if number < len(blocks) else 0


def _in_range(number: int, total: int, option: str, architecture: Architecture) -> int:
    if not 0 <= number <= total:
        raise UsageError(f"{option} {number} is out of range: the base of {architecture.name} has {total} layers.")
    return number


def _explain(architecture: Architecture, layers: Sequence[str], frozen: int) -> tuple[str, ...]:
    """Report where a number of layers falls among the blocks, and what old recipes meant by it."""
    ends = {name: layers.index(name) + 1 for name in architecture.blocks}
    whole = [name for name, end in ends.items() if end <= frozen]
    cut = next((name for name, end in ends.items() if end > frozen), None)
    notes = []
    if 0 < frozen < len(layers) and cut and frozen not in ends.values():
        after = f"after {whole[-1]} (layer {ends[whole[-1]]})" if whole else "before the first block ends"
        notes.append(
            f"--freeze {frozen} falls inside {cut}, {after}; "
            f"{pluralize(sum(end > frozen for end in ends.values()), 'block')} of {len(ends)} train, the first in part."
        )
    meant = architecture.keras1_freeze.get(frozen)
    if meant:
        notes.append(
            f"Recipes of 2017 counted the layers of Keras 1, where {frozen} was {meant}; "
            f"today {meant} ends at layer {ends[meant]}. For what they meant, use --freeze {meant}."
        )
    return tuple(notes)

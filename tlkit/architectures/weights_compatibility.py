"""Does this file load here, and how? Answered from names and shapes, without building the network."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tlkit.architectures.architecture import Architecture
from tlkit.architectures.layer_tables import expected_layers
from tlkit.config import LoadOptions
from tlkit.keras_files.layers import SavedLayer
from tlkit.keras_files.loading.layer_matching import BETWEEN
from tlkit.keras_files.loading.layer_spec import LayerSpec
from tlkit.keras_files.loading.load import QUESTIONS
from tlkit.keras_files.loading.plan import Plan, SavedFile, make_plan
from tlkit.keras_files.types import Header

ANSWERS = {"layout": ("--layout tf", "--layout th"), "flip_kernels": ("--no-flip-kernels", "--flip-kernels")}
"""What answers a question that a file leaves open."""


@dataclass(frozen=True)
class CompatibilityReport:
    """How a file loads into an architecture.

    Attributes:
        include_top: With its ImageNet classifier or without.
        complete: Every tensor of the network has its partner.
        matched_by: ``order`` or ``name``.
        layers: How many layers the network has.
        fitting: How many of them the file has everything for.
        tensors: How many tensors those have.
        missing: Layers of the network that the file has nothing for.
        mismatched: ``(layer of the network, layer of the file, why)``.
        unused: Layers of the file that the network has no place for.
        questions: What the file leaves open, keys of :data:`ANSWERS`.
        asks: The same in words.
        conversions: What is done to how many tensors, in words.
        notes: What a person should know.
        commands: The command lines that load it; more than one where the file leaves something open, none when it
            does not load.
    """

    include_top: bool
    complete: bool
    matched_by: str
    layers: int
    fitting: int
    tensors: int
    missing: tuple[LayerSpec, ...]
    mismatched: tuple[tuple[str, str, str], ...]
    unused: tuple[str, ...]
    questions: tuple[str, ...]
    asks: tuple[str, ...]
    conversions: Mapping[str, int]
    notes: tuple[str, ...]
    commands: tuple[str, ...]


def check_compatibility(
    file: str, header: Header, saved: Sequence[SavedLayer], architecture: Architecture, options: LoadOptions
) -> tuple[CompatibilityReport, ...]:
    """How a file loads into an architecture with its classifier, and without.

    Args:
        file: Its path, for the command lines.
        header: What it says of itself.
        saved: Its layers.
        architecture: The row of the table.
        options: How it would be loaded; matching by name is also tried where order fails.
    """
    content = SavedFile(header, saved)
    return tuple(_way(file, content, architecture, options, include_top=top) for top in (True, False))


def _way(
    file: str, content: SavedFile, architecture: Architecture, options: LoadOptions, *, include_top: bool
) -> CompatibilityReport:
    expected = expected_layers(architecture, include_top=include_top)
    plan = make_plan(content, expected, options, old_names=architecture.old_names)
    if not plan.complete and not options.by_name:
        named = dataclasses.replace(options, by_name=True)
        other = make_plan(content, expected, named, old_names=architecture.old_names)
        if other.complete and BETWEEN not in other.notes:
            plan, options = other, named
    loads = plan.complete or (options.skip_mismatch and bool(plan.layers))
    return CompatibilityReport(
        include_top=include_top,
        complete=plan.complete,
        matched_by=plan.matched_by,
        layers=plan.expected,
        fitting=len(plan.layers),
        tensors=sum(len(layer.tensors) for layer in plan.layers),
        missing=plan.missing,
        mismatched=tuple((layer.name, other.name, reason) for layer, other, reason in plan.mismatched),
        unused=tuple(layer.name for layer in plan.unused),
        questions=plan.questions,
        asks=tuple(QUESTIONS[question] for question in plan.questions),
        conversions=dict(plan.conversions),
        notes=plan.notes,
        commands=tuple(_commands(file, architecture, options, plan, include_top)) if loads else (),
    )


def _commands(
    file: str, architecture: Architecture, options: LoadOptions, plan: Plan, include_top: bool
) -> Iterator[str]:
    built = architecture.options if include_top else dataclasses.replace(architecture.options, classes=None)
    said = [*dataclasses.replace(built, data_format=None).words(), *options.words()]
    ways: list[list[str]] = [[]]
    for question in plan.questions:
        ways = [[*way, answer] for way in ways for answer in ANSWERS[question]]
    start = "tlkit predict IMAGES" if include_top else "tlkit finetune DATA"
    for way in ways:
        yield " ".join([start, "--arch", architecture.name, "--weights", shlex.quote(file), *said, *way])

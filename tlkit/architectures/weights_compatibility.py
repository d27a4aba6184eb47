"""Check whether and how a file loads into an architecture, from names and shapes, without building the network."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from tlkit import keras_files
from tlkit.architectures.architecture import Architecture
from tlkit.architectures.keras_config import network_config
from tlkit.architectures.layer_tables import expected_layers
from tlkit.config import LoadOptions

if TYPE_CHECKING:
    import numpy as np

    from tlkit.keras_files import KerasFile, LayerSpec, Plan

ANSWERS = {"layout": ("--layout tf", "--layout th"), "flip_kernels": ("--no-flip-kernels", "--flip-kernels")}
"""The options that answer a question which a file leaves open."""


@dataclass(frozen=True)
class CompatibilityReport:
    """How a file loads into an architecture.

    Attributes:
        include_top: With the ImageNet classifier or without.
        complete: True when every tensor of the network has a match in the file.
        matched_by: ``order`` or ``name``.
        layers: How many layers with weights the network has.
        matched: How many of them the file has everything for.
        tensors: How many tensors those have.
        missing: Layers of the network that the file has nothing for.
        mismatched: ``(layer of the network, layer of the file, why)``.
        unused: Layers of the file that the network does not have.
        questions: What the file does not record: ``layout``, ``flip_kernels``.
        asks: The same in words.
        conversions: Each conversion in words, and how many tensors it is for.
        notes: Remarks for the user.
        differences: What the network in the file computes in another way.
        commands: The command lines that load it; several where the file leaves a question open, none when it does not
            load.
    """

    include_top: bool
    complete: bool
    matched_by: str
    layers: int
    matched: int
    tensors: int
    missing: tuple[LayerSpec, ...]
    mismatched: tuple[tuple[str, str, str], ...]
    unused: tuple[str, ...]
    questions: tuple[str, ...]
    asks: tuple[str, ...]
    conversions: Mapping[str, int]
    notes: tuple[str, ...]
    differences: tuple[str, ...]
    commands: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON document: the attributes above, ``loads``, and layers and shapes spelled out."""
        return {
            "include_top": self.include_top,
            "loads": bool(self.commands),
            "matched_by": self.matched_by,
            "layers": self.layers,
            "matched": self.matched,
            "tensors": self.tensors,
            "conversions": dict(self.conversions),
            "questions": list(self.questions),
            "missing": [
                {
                    "layer": layer.name,
                    "tensors": [{"role": role, "shape": list(shape)} for role, shape in layer.tensors],
                }
                for layer in self.missing
            ],
            "mismatched": [
                {"layer": layer, "in_file": saved, "reason": reason} for layer, saved, reason in self.mismatched
            ],
            "unused": list(self.unused),
            "notes": list(self.notes),
            "differences": list(self.differences),
            "commands": list(self.commands),
        }


@dataclass(frozen=True)
class Expected:
    """What an architecture expects of a file, with its classifier or without: plain data for another process.

    Attributes:
        architecture: The registry entry.
        include_top: With its classifier or without.
        layers: Its layers with weights.
        config: What it computes, as a model config.
    """

    architecture: Architecture
    include_top: bool
    layers: Sequence[LayerSpec]
    config: Mapping[str, Any]

    @classmethod
    def of(cls, architecture: Architecture, *, include_top: bool) -> Expected:
        """Look it up in the tables."""
        return cls(
            architecture,
            include_top,
            expected_layers(architecture, include_top=include_top),
            network_config(architecture, include_top=include_top),
        )

    def plan(self, file: KerasFile, options: LoadOptions) -> Plan:
        """Match a file with it: names, shapes and, where the file describes its network, what that computes."""
        network = None
        if file.header.raw_config:
            network = keras_files.read_network(
                self.config, keras_version="3", preprocess=preprocess_of(self.architecture)
            )
        return keras_files.plan_loading(
            file,
            self.layers,
            options,
            old_names=self.architecture.old_names,
            constants=self.architecture.constants,
            network=network,
        )


def preprocess_of(architecture: Architecture) -> Callable[[np.ndarray], np.ndarray] | None:
    """Return what the pixels go through in front of an architecture; None where inputs are no pixels."""
    from tlkit.data.images.normalization import MODES, preprocess

    mode = architecture.preprocessing
    return partial(preprocess, mode=mode) if mode in MODES else None


def check_compatibility(
    file: KerasFile, expected: Sequence[Expected], options: LoadOptions
) -> tuple[CompatibilityReport, ...]:
    """Check how a file loads into an architecture with its classifier, and without.

    Args:
        file: The open file.
        expected: What the architecture expects, one way after the other.
        options: How to load it; matching by name is also tried where order fails.
    """
    return tuple(_check(file, one, options) for one in expected)


def _check(file: KerasFile, expected: Expected, options: LoadOptions) -> CompatibilityReport:
    plan = expected.plan(file, options)
    if not plan.complete and not options.by_name:
        by_name = dataclasses.replace(options, by_name=True)
        other = expected.plan(file, by_name)
        if other.complete and not other.has_gaps:
            plan, options = other, by_name
    loads = (plan.complete or (options.skip_mismatch and bool(plan.layers))) and not plan.differences
    return CompatibilityReport(
        include_top=expected.include_top,
        complete=plan.complete,
        matched_by=plan.matched_by,
        layers=plan.network_layers,
        matched=len(plan.layers),
        tensors=sum(len(layer.tensors) for layer in plan.layers),
        missing=plan.missing,
        mismatched=tuple((layer.name, other.name, reason) for layer, other, reason in plan.mismatched),
        unused=tuple(layer.name for layer in plan.unused),
        questions=plan.questions,
        asks=plan.asks,
        conversions=dict(plan.conversions),
        notes=plan.notes,
        differences=plan.differences,
        commands=tuple(_commands(str(file.path), expected, options, plan)) if loads else (),
    )


def _commands(path: str, expected: Expected, options: LoadOptions, plan: Plan) -> Iterator[str]:
    architecture, include_top = expected.architecture, expected.include_top
    build = architecture.options if include_top else dataclasses.replace(architecture.options, classes=None)
    given = [*dataclasses.replace(build, data_format=None).words(), *options.words()]
    answers: list[list[str]] = [[]]
    for question in plan.questions:
        answers = [[*chosen, answer] for chosen in answers for answer in ANSWERS[question]]
    start = "tlkit predict IMAGES" if include_top else "tlkit finetune DATA"
    for chosen in answers:
        yield " ".join([start, "--arch", architecture.name, "--weights", shlex.quote(path), *given, *chosen])

"""List the architectures, or the layers of one, without Keras."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, overload

from tlkit.architectures.architecture import Architecture
from tlkit.architectures.layer_tables import layers_of
from tlkit.architectures.registry.lookup import all_architectures, get_architecture
from tlkit.commands.weights import FileStatus, list_weights


@dataclass(frozen=True)
class Layer:
    """One layer of an architecture.

    Attributes:
        index: What ``--freeze N`` counts, from 0; None for layers of the published classifier.
        name: Its name in a freshly built model.
        kind: The Keras class.
        output_shape: The batch is None.
        parameters: Number of them.
        block: Its name if it ends a block, else None.
    """

    index: int | None
    name: str
    kind: str
    output_shape: tuple[int | None, ...]
    parameters: int
    block: str | None

    def to_dict(self) -> dict[str, Any]:
        """Return the layer as JSON values."""
        return {**dataclasses.asdict(self), "output_shape": list(self.output_shape)}


@dataclass(frozen=True)
class ArchitectureInfo:
    """One architecture.

    Attributes:
        architecture: Its entry in the registry.
        installed: Names of its weights files that are on this machine.
        weights: Which those are: ``all``, ``-``, ``with top``, ``without top``, or ``3 of 32``.
        layers: Base first, then the published classifier; empty unless it was asked for by name.
    """

    architecture: Architecture
    installed: tuple[str, ...]
    weights: str
    layers: tuple[Layer, ...] = ()

    @property
    def name(self) -> str:
        """Its name: ``inceptionv3``."""
        return self.architecture.name

    def to_dict(self) -> dict[str, Any]:
        """Return what ``tlkit archs NAME --format json`` prints, and without ``layers`` one item of the list."""
        one = self.architecture
        files = {"with_top": one.weights_file(include_top=True), "without_top": one.weights_file(include_top=False)}
        document = {
            "name": one.name,
            "title": one.title,
            "modality": one.modality,
            "size": one.size if one.fixed_shape is None else None,
            "min_size": one.min_size if one.fixed_shape is None else None,
            "input_shape": list(one.default_shape),
            "parameters": one.parameters,
            "size_mb": one.size_mb,
            "top1": one.top1,
            "top5": one.top5,
            "depth": one.depth,
            "features": one.features,
            "preprocessing": one.preprocessing,
            "freeze": one.freeze,
            "weights": one.weights_origin,
            "accepts": one.accepts,
            "installed": list(self.installed),
            "blocks": list(one.blocks),
            "files": {top: file.to_dict() for top, file in files.items()},
        }
        return document | ({"layers": [layer.to_dict() for layer in self.layers]} if self.layers else {})


@dataclass(frozen=True)
class Architectures(Sequence[ArchitectureInfo]):
    """A sequence of all architectures.

    Attributes:
        architectures: The same as a tuple.
    """

    architectures: tuple[ArchitectureInfo, ...]

    @overload
    def __getitem__(self, index: int) -> ArchitectureInfo: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[ArchitectureInfo, ...]: ...
    def __getitem__(self, index: int | slice) -> ArchitectureInfo | tuple[ArchitectureInfo, ...]:
        return self.architectures[index]

    def __len__(self) -> int:
        return len(self.architectures)

    def to_dict(self) -> list[dict[str, Any]]:
        """Return the list that ``tlkit archs --format json`` prints."""
        return [one.to_dict() for one in self.architectures]


def list_architectures() -> Architectures:
    """Return all architectures, without their layers."""
    return Architectures(tuple(_info(architecture) for architecture in all_architectures()))


def describe_architecture(name: str) -> ArchitectureInfo:
    """Return one architecture with its layers.

    Raises:
        UsageError: There is no such architecture.
    """
    architecture = get_architecture(name)
    layers = [
        *enumerate(layers_of(architecture, include_top=False)),
        *((None, layer) for layer in layers_of(architecture, include_top=True) if layer.part == "top"),
    ]
    return dataclasses.replace(
        _info(architecture),
        layers=tuple(
            Layer(
                index, layer.name, layer.kind, (None, *layer.shape), layer.parameters,
                layer.name if layer.name in architecture.blocks and index is not None else None,
            )
            for index, layer in layers
        ),
    )  # fmt: skip


def _info(architecture: Architecture) -> ArchitectureInfo:
    files = list_weights((architecture.name,))
    here = tuple(status.file.name for status in files if status.file and status.path)
    return ArchitectureInfo(architecture, here, which_weights(files))


def which_weights(files: Sequence[FileStatus]) -> str:
    """Return which weights files of an architecture are on this machine; see :class:`ArchitectureInfo`."""
    here = [status.file for status in files if status.file and status.path]
    if len(here) in (0, len(files)):
        return "all" if here else "-"
    if len(files) == 2:
        return "with top" if here[0].top == "yes" else "without top"
    return f"{len(here)} of {len(files)}"

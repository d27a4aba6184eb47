"""What is in an HDF5 file, and whether it loads: without TensorFlow, and without reading a tensor unless asked."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tlkit.config import InspectConfig
from tlkit.errors import WeightsError
from tlkit.keras_files.hdf5.subprocess_guard import run_in_subprocess
from tlkit.keras_files.types import TITLES, Header, Node, Stats
from tlkit.utils.logging import progress_bar

if TYPE_CHECKING:
    from tlkit.architectures.architecture import Architecture
    from tlkit.architectures.weights_compatibility import CompatibilityReport
    from tlkit.keras_files.layers import SavedLayer


@dataclass(frozen=True)
class TensorInfo:
    """One tensor.

    Attributes:
        name: As the file has it.
        role: What it is in today's words, or None.
        path: Where it is in the file.
        shape: Its shape.
        dtype: ``float32``, ….
        bytes: What its values take in memory.
        stats: Its statistics, where they were asked for.
    """

    name: str
    role: str | None
    path: str
    shape: tuple[int, ...]
    dtype: str
    bytes: int
    stats: Stats | None = None


@dataclass(frozen=True)
class LayerInfo:
    """One layer, in the file's order.

    Attributes:
        name: Its name.
        kind: Its class in snake case, or None.
        path: The names of the models it is inside of.
        tensors: Its tensors; none for a layer without weights.
    """

    name: str
    kind: str | None
    path: tuple[str, ...]
    tensors: tuple[TensorInfo, ...]


@dataclass(frozen=True)
class Inspection:
    """What a file is.

    Attributes:
        file: As it was given.
        size: Bytes on disk.
        header: Dialect, writer, configuration.
        data: ``channels_last`` or ``channels_first``, or None.
        kernels: How the axes of kernels lie, in words, or None.
        layers: The layers, in order; empty for what is no weights file.
        nodes: Every name in the file.
        problems: Why the layers or the model cannot be used.
        stats: Statistics of data sets that belong to no layer, by path.
        architecture: What it was compared with.
        loading: How it loads there, with the classifier and without.
    """

    file: str
    size: int
    header: Header
    data: str | None
    kernels: str | None
    layers: tuple[LayerInfo, ...]
    nodes: tuple[Node, ...]
    problems: tuple[str, ...]
    stats: dict[str, Stats]
    architecture: str | None = None
    loading: tuple[CompatibilityReport, ...] = ()

    @property
    def title(self) -> str:
        """The dialect in words."""
        return TITLES[self.header.dialect]

    @property
    def links(self) -> tuple[Node, ...]:
        """The names that stand for something elsewhere."""
        return tuple(node for node in self.nodes if node.kind.endswith("link"))

    @property
    def tensors(self) -> list[TensorInfo]:
        """Every tensor of every layer."""
        return [tensor for layer in self.layers for tensor in layer.tensors]

    @property
    def parameters(self) -> int:
        """How many numbers the layers hold."""
        return sum(math.prod(tensor.shape) for tensor in self.tensors)

    @property
    def loads(self) -> bool:
        """True when a command loads it into the architecture that was asked about."""
        return any(loading.commands for loading in self.loading)


def inspect_h5(config: InspectConfig) -> Inspection:
    """Look into a file, in a process of its own: damage that makes HDF5 crash does not reach the caller.

    Raises:
        TlkitError: No such file, no HDF5, damaged; no such architecture.
    """
    architecture = _architecture(config)
    return run_in_subprocess(lambda: _inspect(config, architecture), Path(config.file))


def _architecture(config: InspectConfig) -> Architecture | None:
    """The architecture that was asked about, its layers known: building one in the child would hang in TensorFlow."""
    if config.arch is None:
        return None
    from tlkit.architectures.layer_tables import layers_of
    from tlkit.architectures.registry.lookup import get_architecture

    architecture = get_architecture(config.arch, dataclasses.replace(config.build, data_format="channels_last"))
    for top in (True, False):
        layers_of(architecture, include_top=top)
    return architecture


def _inspect(config: InspectConfig, architecture: Architecture | None) -> Inspection:
    # h5py starts in the child only, while the parent gets ready to print
    from tlkit.keras_files.format_detection import read_header
    from tlkit.keras_files.hdf5.links import inside
    from tlkit.keras_files.hdf5.open import open_file
    from tlkit.keras_files.hdf5.tensor_stats import stats
    from tlkit.keras_files.hdf5.walk import walk
    from tlkit.keras_files.layers import kernel_layout, saved_layers
    from tlkit.keras_files.model_config import data_layout

    path = Path(config.file)
    with open_file(path) as opened:
        header = read_header(opened)
        nodes = tuple(walk(opened.root))
        problems = [header.problem] if header.problem else []
        saved: list[SavedLayer] = []
        try:
            saved = saved_layers(opened.root, header)
        except WeightsError as error:
            problems.append(error.message)
        if header.is_model:
            from tlkit.keras_files.upgrade.validate import config_problems

            problems += config_problems(header.raw_config) if header.problem is None else []
        loading: tuple[CompatibilityReport, ...] = ()
        if architecture:
            from tlkit.architectures.weights_compatibility import check_compatibility

            loading = check_compatibility(config.file, header, saved, architecture, config.load)
        layers = tuple(_layer(layer, config.stats) for layer in _progress(saved, config.stats))
        known = {tensor.path for layer in layers for tensor in layer.tensors}
        others = {
            node.path: stats(inside(opened.root, node.path.strip("/")))
            for node in nodes
            if config.stats and node.kind == "dataset" and node.path not in known
        }
        return Inspection(
            file=config.file,
            size=path.stat().st_size,
            header=header,
            data=data_layout(header.config) if header.config else None,
            kernels=kernel_layout(saved),
            layers=layers,
            nodes=nodes,
            problems=tuple(problems),
            stats=others,
            architecture=architecture.name if architecture else None,
            loading=loading,
        )


def _progress(saved: Sequence[SavedLayer], reads: bool) -> Iterator[SavedLayer]:
    if not reads:
        yield from saved
        return
    with progress_bar(total=len(saved), unit="layer", description="stats") as bar:
        for layer in saved:
            yield layer
            bar.update(1)


def _layer(layer: SavedLayer, with_stats: bool) -> LayerInfo:
    from tlkit.keras_files.hdf5.attributes import type_name
    from tlkit.keras_files.hdf5.tensor_stats import stats

    tensors = tuple(
        TensorInfo(
            tensor.name, tensor.role, str(tensor.values.name), tensor.values.shape, type_name(tensor.values.dtype),
            tensor.values.size * tensor.values.dtype.itemsize, stats(tensor.values) if with_stats else None,
        )
        for tensor in layer.tensors
    )  # fmt: skip
    return LayerInfo(layer.name, layer.kind, layer.path, tensors)

"""Inspect an HDF5 file, and check whether it loads: without TensorFlow, and without reading a tensor unless asked."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tlkit.errors import WeightsError
from tlkit.keras_files.hdf5.subprocess_guard import CPU_SECONDS, run_in_subprocess
from tlkit.keras_files.hdf5.validate import check_is_file
from tlkit.keras_files.tree import Tree, layer_tree, object_tree
from tlkit.keras_files.types import TITLES, Header, LayerInfo, Node, Stats, TensorInfo
from tlkit.utils.logging import progress_bar
from tlkit.utils.text import truncate

if TYPE_CHECKING:
    from tlkit.architectures.weights_compatibility import CompatibilityReport, Expected
    from tlkit.config import InspectConfig, LoadOptions
    from tlkit.keras_files import KerasFile
    from tlkit.keras_files.layers import SavedLayer

Target = tuple["tuple[Expected, ...]", "LoadOptions"]
"""What an architecture expects, with its classifier and without, and how to load."""


@dataclass(frozen=True)
class Inspection:
    """The contents of a file.

    Attributes:
        file: Its path, as it was given.
        bytes: Its size on disk.
        header: Dialect, writer, configuration.
        data: ``channels_last`` or ``channels_first``, or None.
        kernels: The order of a kernel's axes in words, or None.
        layers: The layers, in order; empty for what is no weights or model file.
        objects: Every name in the file.
        problems: Why the layers or the model cannot be used.
        stats: Statistics of datasets that belong to no layer, by path.
        architecture: The one it was compared with, or None.
        loading: How it loads there, with the classifier and without.
    """

    file: str
    bytes: int
    header: Header
    data: str | None
    kernels: str | None
    layers: tuple[LayerInfo, ...]
    objects: tuple[Node, ...]
    problems: tuple[str, ...]
    stats: Mapping[str, Stats]
    architecture: str | None = None
    loading: tuple[CompatibilityReport, ...] = ()

    @property
    def title(self) -> str:
        """The dialect in words."""
        return TITLES[self.header.dialect]

    @property
    def tensors(self) -> list[TensorInfo]:
        """Every tensor of every layer."""
        return [tensor for layer in self.layers for tensor in layer.tensors]

    @property
    def totals(self) -> dict[str, int]:
        """Counts of layers, tensors, parameters and bytes."""
        tensors = self.tensors
        return {
            "layers": len(self.layers),
            "layers_with_weights": sum(bool(layer.tensors) for layer in self.layers),
            "tensors": len(tensors),
            "parameters": sum(math.prod(tensor.shape) for tensor in tensors),
            "tensor_bytes": sum(tensor.bytes for tensor in tensors),
        }

    @property
    def loads(self) -> bool:
        """Return True when it loads into the architecture that was asked about."""
        return any(report.commands for report in self.loading)

    @property
    def tree(self) -> Tree:
        """The layers with their tensors; of other HDF5 files, all objects."""
        return layer_tree(self.layers) if self.tensors else object_tree(self.objects, self.stats)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON document of `tlkit inspect-h5 --format json`."""
        document: dict[str, Any] = {
            "file": self.file,
            "bytes": self.bytes,
            "dialect": self.header.dialect,
            "title": self.title,
            "keras_version": self.header.keras_version,
            "backend": self.header.backend,
            "layout": {"data": self.data, "kernels": self.kernels},
            "totals": self.totals,
            "layers": [layer.to_dict() for layer in self.layers],
            "objects": [node.to_dict(self.stats.get(node.path)) for node in self.objects],
            "problems": list(self.problems),
        }
        if self.architecture:
            document["loading"] = {
                "architecture": self.architecture,
                "loads": self.loads,
                "ways": [report.to_dict() for report in self.loading],
            }
        return document


def inspect_h5(config: InspectConfig) -> Inspection:
    """Inspect a file in another process: damage that crashes HDF5 does not reach the caller.

    Raises:
        TlkitError: There is no such file, it is no HDF5 file or damaged; there is no such architecture.
    """
    path = Path(config.file)
    check_is_file(path)
    target = _target(config)
    # a byte of deflate can become a thousand; without --stats only the structure is read
    seconds = CPU_SECONDS + (path.stat().st_size >> 18 if config.stats else 0)
    return run_in_subprocess(_inspect, config.file, config.stats, target, path=path, cpu_seconds=seconds)


def _target(config: InspectConfig) -> Target | None:
    if config.arch is None:
        return None
    from tlkit.architectures.registry.lookup import get_architecture
    from tlkit.architectures.weights_compatibility import Expected

    architecture = get_architecture(config.arch, dataclasses.replace(config.build, data_format="channels_last"))
    return tuple(Expected.of(architecture, include_top=top) for top in (True, False)), config.load


def _inspect(name: str, with_stats: bool = False, target: Target | None = None) -> Inspection:
    """Inspect a file in this process, which imports h5py (and not tlkit.config: every millisecond is start-up time)."""
    from tlkit.keras_files.hdf5.walk import walk
    from tlkit.keras_files.keras_file import open_file
    from tlkit.keras_files.layers import kernel_layout
    from tlkit.keras_files.model_config import data_layout

    path = Path(name)
    with open_file(path) as file:
        header = file.header
        objects = tuple(walk(file.root))
        problems = _problems(file, objects)
        loading: tuple[CompatibilityReport, ...] = ()
        if target:
            from tlkit.architectures.weights_compatibility import check_compatibility

            loading = check_compatibility(file, *target)
        layers = tuple(_layer_info(layer, with_stats) for layer in _progress(file.layers, with_stats))
        return Inspection(
            file=name,
            bytes=path.stat().st_size,
            header=header,
            data=data_layout(header.config) if header.config else None,
            kernels=kernel_layout(file.layers),
            layers=layers,
            objects=objects,
            problems=problems,
            stats=_other_stats(file, objects, layers) if with_stats else {},
            architecture=target[0][0].architecture.name if target else None,
            loading=loading,
        )


def _problems(file: KerasFile, objects: Sequence[Node]) -> tuple[str, ...]:
    """Why the layers or the model cannot be used; a file whose layers cannot be read has none from here on."""
    problems = [file.header.problem] if file.header.problem else []
    try:
        _ = file.layers
    except WeightsError as error:
        problems.append(error.message)
        file.layers = []
    if any(node.storage == "chunked" for node in objects):  # only chunks go through filters
        from tlkit.keras_files.hdf5.filters import INSTALL, missing_filter

        tensors = (tensor.values for layer in file.layers for tensor in layer.tensors)
        packed = next((missing for values in tensors if (missing := missing_filter(values))), None)
        if packed:
            problems.append(f"Values are packed with the HDF5 filter {packed}, which is not installed. {INSTALL}")
    if file.header.is_model and file.header.problem is None:
        from tlkit.keras_files.upgrade.validate import config_problems

        problems += config_problems(file.header.raw_config, file.header.keras_version)
    return tuple(map(truncate, problems))


def _progress(layers: Sequence[SavedLayer], reads: bool) -> Iterator[SavedLayer]:
    if not reads:
        yield from layers
        return
    with progress_bar(total=len(layers), unit="layer", description="stats") as bar:
        for layer in layers:
            yield layer
            bar.update(1)


def _layer_info(layer: SavedLayer, with_stats: bool) -> LayerInfo:
    from tlkit.keras_files.hdf5.attributes import type_name
    from tlkit.keras_files.hdf5.tensor_stats import stats

    tensors = tuple(
        TensorInfo(
            tensor.name, tensor.role, truncate(str(tensor.values.name)), tensor.values.shape,
            type_name(tensor.values.dtype), tensor.values.size * tensor.values.dtype.itemsize,
            stats(tensor.values) if with_stats else None,
        )
        for tensor in layer.tensors
    )  # fmt: skip
    return LayerInfo(
        truncate(layer.name), layer.kind and truncate(layer.kind), tuple(map(truncate, layer.path)), tensors
    )


def _other_stats(file: KerasFile, objects: Sequence[Node], layers: Sequence[LayerInfo]) -> dict[str, Stats]:
    """The statistics of datasets that belong to no layer, by path."""
    from tlkit.keras_files.hdf5.links import inside
    from tlkit.keras_files.hdf5.tensor_stats import stats

    known = {tensor.path for layer in layers for tensor in layer.tensors}
    found = {}
    for node in objects:
        if node.kind == "dataset" and node.path not in known:
            try:
                found[node.path] = stats(inside(file.root, node.path.strip("/")))
            except WeightsError:  # its path was shortened
                found[node.path] = Stats(note="not read: its name is too long")
    return found

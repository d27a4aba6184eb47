"""``tlkit inspect-h5``."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from tlkit.cli.options import format_option, job_command
from tlkit.cli.output import echo, echo_csv, echo_json, echo_table
from tlkit.config import InspectConfig
from tlkit.utils.text import format_bytes, join_truncated, pluralize

if TYPE_CHECKING:
    from tlkit.architectures.weights_compatibility import CompatibilityReport
    from tlkit.commands.inspect_h5 import Inspection, TensorInfo
    from tlkit.keras_files.types import Attribute, Node, Stats

BOOKKEEPING = {
    "layer_names",
    "weight_names",
    "nb_params",
    "nb_layers",
    "model_config",
    "keras_version",
    "backend",
    "name",
}
"""Attributes that the text says in other words."""


@job_command(InspectConfig, "inspect-h5", summary="Show what is in an HDF5 or .keras file.")
@format_option("text", "json", "csv")
@click.pass_context
def inspect_h5(context: click.Context, /, options: dict[str, Any], output_format: str) -> None:
    """Say what is in FILE: weights, a model or features, of any Keras since 2015, or any other HDF5.

    Reads no tensor without --stats, follows no link, and runs nothing of what a model holds. With --arch the exit
    code is 0 when FILE loads into the network (with or without its classifier), 1 when it does not.

    JSON is one object: `file`, `bytes`, `dialect` (keras0-weights, keras1-weights, keras2-weights,
    keras3-legacy-weights, keras1-model, keras2-model, keras3-legacy-model, keras3-weights, keras-archive,
    tlkit-features or hdf5), `title`, `keras_version`, `backend`, `layout` (`data`, `kernels`), `totals` (`layers`,
    `layers_with_weights`, `tensors`, `parameters`, `tensor_bytes`), `layers` (each `name`, `kind`, `path`, and
    `tensors` with `name`, `role`, `path`, `shape`, `dtype`, `stats`), `objects` (every name in the file: `path`,
    `kind`, `target` of a link, `shape`, `dtype`, `storage`, `stored`, `attributes`, `stats`), `problems`, and with
    --arch `loading` (`architecture`, `loads`, `ways`: each `include_top`, `loads`, `matched_by`, `layers`, `fitting`,
    `tensors`, `conversions`, `questions`, `missing`, `mismatched`, `unused`, `notes`, `commands`). `stats` has `least`,
    `greatest`, `mean`, `nan`, `infinite`, `zero` and `note`. CSV has one line a tensor.

    \b
        tlkit inspect-h5 weights.h5
        tlkit inspect-h5 weights.h5 --arch vgg16
        tlkit inspect-h5 model.keras --stats --format json
    """
    from tlkit import api

    found = api.inspect_h5(**options)
    if output_format == "json":
        echo_json(_as_json(found))
    elif output_format == "csv":
        header = ("layer", "tensor", "path", "shape", "dtype", "least", "greatest", "mean", "nan", "infinite", "zero")
        echo_csv(header, _as_rows(found))
    else:
        _echo_text(found)
    if found.architecture is not None and not found.loads:
        context.exit(1)


def _as_json(found: Inspection) -> dict[str, Any]:
    tensors = found.tensors
    document = {
        "file": found.file,
        "bytes": found.size,
        "dialect": found.header.dialect,
        "title": found.title,
        "keras_version": found.header.keras_version,
        "backend": found.header.backend,
        "layout": {"data": found.data, "kernels": found.kernels},
        "totals": {
            "layers": len(found.layers),
            "layers_with_weights": sum(bool(layer.tensors) for layer in found.layers),
            "tensors": len(tensors),
            "parameters": found.parameters,
            "tensor_bytes": sum(tensor.bytes for tensor in tensors),
        },
        "layers": [
            {
                "name": layer.name,
                "kind": layer.kind,
                "path": list(layer.path),
                "tensors": [
                    {
                        "name": tensor.name,
                        "role": tensor.role,
                        "path": tensor.path,
                        "shape": list(tensor.shape),
                        "dtype": tensor.dtype,
                        "stats": _stats_json(tensor.stats),
                    }
                    for tensor in layer.tensors
                ],
            }
            for layer in found.layers
        ],
        "objects": [_object_json(node, found.stats.get(node.path)) for node in found.nodes],
        "problems": list(found.problems),
    }
    if found.architecture:
        document["loading"] = {
            "architecture": found.architecture,
            "loads": found.loads,
            "ways": [_loading_json(loading) for loading in found.loading],
        }
    return document


def _stats_json(stats: Stats | None) -> dict[str, Any] | None:
    if stats is None:
        return None
    # JSON has no infinity
    return {
        key: str(value) if isinstance(value, float) and abs(value) == float("inf") else value
        for key, value in dataclasses.asdict(stats).items()
    }


def _object_json(node: Node, stats: Stats | None) -> dict[str, Any]:
    document: dict[str, Any] = {"path": node.path, "kind": node.kind}
    if node.target is not None:
        document["target"] = node.target
    if node.kind == "dataset":
        document |= {
            "shape": None if node.shape is None else list(node.shape),
            "dtype": node.dtype,
            "storage": node.storage,
            "stored": node.stored,
        }
    if stats is not None:
        document["stats"] = _stats_json(stats)
    if node.attributes:
        document["attributes"] = [
            {key: value for key, value in dataclasses.asdict(attribute).items() if key != "note" or value}
            for attribute in node.attributes
        ]
    return document


def _loading_json(loading: CompatibilityReport) -> dict[str, Any]:
    return {
        "include_top": loading.include_top,
        "loads": bool(loading.commands),
        "matched_by": loading.matched_by,
        "layers": loading.layers,
        "fitting": loading.fitting,
        "tensors": loading.tensors,
        "conversions": dict(loading.conversions),
        "questions": list(loading.questions),
        "missing": [
            {"layer": layer.name, "tensors": [{"role": role, "shape": list(shape)} for role, shape in layer.tensors]}
            for layer in loading.missing
        ],
        "mismatched": [
            {"layer": layer, "in_file": saved, "reason": reason} for layer, saved, reason in loading.mismatched
        ],
        "unused": list(loading.unused),
        "notes": list(loading.notes),
        "commands": list(loading.commands),
    }


def _as_rows(found: Inspection) -> Iterator[tuple[Any, ...]]:
    def row(layer: str, name: str, path: str, shape: Sequence[int], dtype: str | None, stats: Stats | None) -> Any:
        values = dataclasses.astuple(stats)[:6] if stats else (None,) * 6
        return layer, name, path, _cross(shape), dtype, *values

    known = set()
    for layer in found.layers:
        for tensor in layer.tensors:
            known.add(tensor.path)
            yield row(layer.name, tensor.role or tensor.name, tensor.path, tensor.shape, tensor.dtype, tensor.stats)
    for node in found.nodes:
        if node.kind == "dataset" and node.path not in known:
            name = node.path.rsplit("/", 1)[-1]
            yield row("", name, node.path, node.shape or (), node.dtype, found.stats.get(node.path))


def _cross(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape)) or "1"


def _echo_text(found: Inspection) -> None:
    echo(f"{found.file}: {found.title}, {format_bytes(found.size)}")
    _facts(found)
    if found.tensors:
        _layer_table(found)
    else:
        _object_table(found)
    _attributes(found)
    if found.links and found.tensors:
        echo()
        echo("Links, not followed:")
        echo_table(("path", "kind", "to"), [(node.path, node.kind, node.target or "") for node in found.links])
    for problem in found.problems:
        echo()
        echo(f"Problem: {problem}")
    for loading in found.loading:
        _loading(found, loading)


def _facts(found: Inspection) -> None:
    header = found.header
    if header.generation is not None or header.keras_version:
        version = f"Keras {header.keras_version}" if header.keras_version else "which Keras is not said"
        echo(f"  written by  {version}{f' on {header.backend}' if header.backend else ''}")
    layout = [found.data, f"kernels ({found.kernels})" if found.kernels else None]
    if any(layout):
        echo(f"  layout      {', '.join(filter(None, layout))}")
    if header.config:
        number = pluralize(sum(1 for _ in header.config.leaves()), "layer")
        echo(f"  model       {header.config.name or '?'} ({header.config.kind}), {number}")
    if found.tensors:
        with_weights = sum(bool(layer.tensors) for layer in found.layers)
        dtypes = join_truncated(dict.fromkeys(tensor.dtype for tensor in found.tensors))
        total = sum(tensor.bytes for tensor in found.tensors)
        echo(
            f"  holds       {pluralize(with_weights, 'layer')} with weights, {pluralize(len(found.tensors), 'tensor')}"
            f", {pluralize(found.parameters, 'parameter')}, {format_bytes(total)} of {dtypes}"
        )


STATS_HEADER = ("least", "greatest", "mean", "nan", "infinite", "zero")


def _stats_cells(stats: Stats | None) -> list[str]:
    if stats is None:
        return [""] * len(STATS_HEADER)
    if stats.note:
        return [stats.note, *[""] * (len(STATS_HEADER) - 1)]
    numbers = [f"{value:.6g}" if value is not None else "-" for value in (stats.least, stats.greatest, stats.mean)]
    return [*numbers, str(stats.nan), str(stats.infinite), str(stats.zero)]


def _layer_table(found: Inspection) -> None:
    rows = []
    with_stats = any(tensor.stats for tensor in found.tensors)
    for layer in found.layers:
        for number, tensor in enumerate(layer.tensors):
            name = "/".join((*layer.path, layer.name)) if number == 0 else ""
            cells = _stats_cells(tensor.stats) if with_stats else ()
            rows.append([name, _short(tensor, layer.name), _cross(tensor.shape), tensor.dtype, *cells])
    echo()
    echo_table(("layer", "tensor", "shape", "dtype", *(STATS_HEADER if with_stats else ())), rows)


def _short(tensor: TensorInfo, layer: str) -> str:
    return tensor.role or tensor.name.removeprefix(f"{layer}/")


def _object_table(found: Inspection) -> None:
    rows = []
    for node in found.nodes[1:]:
        what = (
            node.kind
            if node.target is None
            else f"{node.kind} to {node.target}"
            if "link" in node.kind
            else node.target
        )
        if node.kind == "dataset":
            where = f", {node.storage}" if node.storage in ("external", "virtual") else ""
            what = f"{'no shape' if node.shape is None else _cross(node.shape)} {node.dtype}{where}"
        rows.append([node.path, what, *(_stats_cells(found.stats.get(node.path)) if found.stats else ())])
    if rows:
        echo()
        echo_table(("path", "what", *(STATS_HEADER if found.stats else ())), rows)
    else:
        echo("  holds       nothing")


def _attributes(found: Inspection) -> None:
    rows = [
        (node.path, attribute.name, _value(attribute))
        for node in found.nodes
        for attribute in node.attributes
        if attribute.name.rstrip("0123456789") not in BOOKKEEPING
    ]
    if rows:
        echo()
        echo("Attributes:")
        echo_table(("of", "name", "value"), rows)


def _value(attribute: Attribute) -> str:
    text = attribute.note or str(attribute.value)
    return text if len(text) <= 80 else f"{text[:76]} … ({len(text):,} characters)"


def _loading(found: Inspection, loading: CompatibilityReport) -> None:
    what = f"{found.architecture} {'with' if loading.include_top else 'without'} its classifier"
    if loading.complete:
        number = f"all {pluralize(loading.tensors, 'tensor')} of {pluralize(loading.layers, 'layer')}"
        echo()
        echo(f"Loads into {what}: by {loading.matched_by}, {number}.")
    else:
        echo(
            f"\nDoes not load into {what}: {loading.fitting} of its {pluralize(loading.layers, 'layer')} would fit, "
            f"{len(loading.missing)} have no partner, {len(loading.mismatched)} differ."
        )
    for conversion, tensors in loading.conversions.items():
        echo(f"  converts {conversion}: {pluralize(tensors, 'tensor')}")
    for layer in loading.missing:
        wants = ", ".join(f"{role} {_cross(shape)}" for role, shape in layer.tensors)
        echo(f"  no partner for {layer.name}: {wants}")
    for name, saved, reason in loading.mismatched:
        other = f" (in the file {saved})" if saved != name else ""
        echo(f"  {name}{other}: {reason}")
    if loading.unused:
        echo(f"  not used: {join_truncated(loading.unused, most=10)}")
    for note in loading.notes:
        echo(f"  note: {note}")
    for question in loading.asks if loading.commands else ():
        echo(f"  the file does not say {question}")
    if loading.commands and not loading.complete:
        echo("  with --skip-mismatch the rest is left out, and keeps random values:")
    for command in loading.commands:
        echo(f"  {command}")

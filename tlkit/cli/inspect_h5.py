"""``tlkit inspect-h5``."""

from __future__ import annotations

import dataclasses
import shutil
import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from tlkit.cli.options import format_option, job_command
from tlkit.cli.output import echo, echo_csv, echo_json
from tlkit.cli.tree import draw, fit
from tlkit.config import InspectConfig
from tlkit.utils.text import escape_control_chars, format_bytes, join_truncated, pluralize, truncate

if TYPE_CHECKING:
    from tlkit.architectures.weights_compatibility import CompatibilityReport
    from tlkit.commands.inspect_h5 import Inspection
    from tlkit.keras_files.types import Stats

BOOKKEEPING = {
    "layer_names", "weight_names", "nb_params", "nb_layers", "model_config", "keras_version", "backend", "name",
}  # fmt: skip
"""Attributes of weights files that the text shows in other words."""


@job_command(InspectConfig, "inspect-h5", summary="Show what an HDF5 or Keras file holds.")
@format_option("text", "json", "csv")
@click.pass_context
def inspect_h5(context: click.Context, /, options: dict[str, Any], output_format: str) -> None:
    """Show what an HDF5 or Keras file holds.

    FILE holds weights, a model or features, of any Keras since 2015, or is any other HDF5 file. Layers are drawn as a
    tree with their tensors. No tensor is read without --stats, no link is followed, and no code in a model is
    executed. With --arch the exit code is 0 when FILE loads into the architecture (with or without its classifier),
    1 when it does not. CSV has one line per tensor.

    \b
        tlkit inspect-h5 weights.h5
        tlkit inspect-h5 weights.h5 --arch vgg16
        tlkit inspect-h5 model.keras --stats --format json
    """
    from tlkit import api

    inspection = api.inspect_h5(**options)
    if output_format == "json":
        echo_json(inspection.to_dict())
    elif output_format == "csv":
        header = ("layer", "tensor", "path", "shape", "dtype", "min", "max", "mean", "nan", "infinite", "zero")
        echo_csv(header, _csv_rows(inspection))
    else:
        _echo_text(inspection, shutil.get_terminal_size().columns)
    if inspection.architecture is not None and not inspection.loads:
        context.exit(1)


def _csv_rows(inspection: Inspection) -> Iterator[tuple[Any, ...]]:
    from tlkit.keras_files.tree import format_shape

    def cells(stats: Stats | None) -> tuple[Any, ...]:
        return dataclasses.astuple(stats)[:6] if stats else (None,) * 6

    known = set()
    for layer in inspection.layers:
        for tensor in layer.tensors:
            known.add(tensor.path)
            name, shape = tensor.role or tensor.name, format_shape(tensor.shape)
            yield layer.name, name, tensor.path, shape, tensor.dtype, *cells(tensor.stats)
    for node in inspection.objects:
        if node.kind == "dataset" and node.path not in known:
            name, shape = node.path.rsplit("/", 1)[-1], format_shape(node.shape or ())
            yield "", name, node.path, shape, node.dtype, *cells(inspection.stats.get(node.path))


def _echo_text(inspection: Inspection, width: int) -> None:
    def paragraph(text: str, indent: str = "") -> None:
        for line in _wrapped(text, width, indent, f"{indent}  "):
            echo(line)

    start = f"{inspection.file}:"
    rest = f"{inspection.title}, {format_bytes(inspection.bytes)}"
    for line in [f"{start} {rest}"] if len(start) + len(rest) < width else [start, f"  {rest}"]:
        echo(line)
    for name, text in _header_lines(inspection):
        for line in _wrapped(text, width, f"  {name:<10} ", " " * 13):
            echo(line)
    echo()
    for line in draw(inspection.tree, width):
        echo(line)
    if inspection.tensors:
        _echo_objects(inspection, width)
    for problem in inspection.problems:
        echo()
        paragraph(f"Problem: {problem}")
    for report in inspection.loading:
        echo()
        first, *lines = _loading_lines(f"{inspection.architecture}", report)
        paragraph(first)
        for line in lines:
            paragraph(line, "  ")
        for command in report.commands:  # whole, to be copied
            echo(f"  {command}")


def _wrapped(text: str, width: int, first: str, rest: str) -> list[str]:
    return textwrap.wrap(
        escape_control_chars(text), width, initial_indent=first, subsequent_indent=rest, break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip


def _header_lines(inspection: Inspection) -> Iterator[tuple[str, str]]:
    header, totals = inspection.header, inspection.totals
    if header.generation is not None or header.keras_version:
        version = f"Keras {header.keras_version}" if header.keras_version else "a Keras that the file does not name"
        yield "written by", f"{version}{f' on {header.backend}' if header.backend else ''}"
    layout = [inspection.data, f"kernels ({inspection.kernels})" if inspection.kernels else None]
    if any(layout):
        yield "layout", ", ".join(filter(None, layout))
    if header.config:
        number = pluralize(sum(1 for _ in header.config.leaves()), "layer")
        yield "model", truncate(f"{header.config.name or '?'} ({header.config.kind}), {number}")
    if inspection.tensors:
        dtypes = join_truncated(dict.fromkeys(tensor.dtype for tensor in inspection.tensors))
        yield (
            "holds",
            f"{pluralize(totals['layers_with_weights'], 'layer')} with weights, "
            f"{pluralize(totals['tensors'], 'tensor')}, {pluralize(totals['parameters'], 'parameter')}, "
            f"{format_bytes(totals['tensor_bytes'])} of {dtypes}",
        )
    elif len(inspection.objects) == 1:
        yield "holds", "nothing"


def _echo_objects(inspection: Inspection, width: int) -> None:
    """Attributes and links of a weights file: the tree of its layers does not show them."""
    from tlkit.keras_files.tree import format_value

    attributes = [
        (f"{node.path} @{attribute.name}", format_value(attribute))
        for node in inspection.objects
        for attribute in node.attributes
        if attribute.name.rstrip("0123456789") not in BOOKKEEPING
    ]
    links = [(node.path, f"{node.kind} to {node.target}") for node in inspection.objects if node.kind.endswith("link")]
    for title, rows in (("Attributes:", attributes), ("Links, not followed:", links)):
        if rows:
            echo()
            echo(title)
        for row in rows:
            for line in fit(row, width, first="  ", rest="    "):
                echo(line)


def _loading_lines(architecture: str, report: CompatibilityReport) -> Iterator[str]:
    from tlkit.keras_files.tree import format_shape

    name = f"{architecture} {'with' if report.include_top else 'without'} its classifier"
    if report.differences:
        yield f"Does not load into {name}: its weights fit, but the file computes in another way."
        yield from (f"another computation: {difference}" for difference in report.differences[:10])
        if len(report.differences) > 10:
            yield f"and {pluralize(len(report.differences) - 10, 'difference')} more"
        yield "--model with this file computes what it describes"
    elif report.complete:
        number = f"all {pluralize(report.tensors, 'tensor')} of {pluralize(report.layers, 'layer')}"
        yield f"Loads into {name}: by {report.matched_by}, {number}."
    else:
        yield (
            f"Does not load into {name}: {report.matched} of its {pluralize(report.layers, 'layer')} match; "
            f"missing: {len(report.missing)}, different: {len(report.mismatched)}."
        )
    for conversion, tensors in report.conversions.items():
        yield f"converts {conversion}: {pluralize(tensors, 'tensor')}"
    for layer in report.missing:
        yield f"missing {layer.name}: {', '.join(f'{role} {format_shape(shape)}' for role, shape in layer.tensors)}"
    for layer_name, saved, reason in report.mismatched:
        yield f"{layer_name}{f' (in the file {saved})' if saved != layer_name else ''}: {reason}"
    if report.unused:
        yield f"not used: {join_truncated(report.unused, most=10)}"
    for note in report.notes:
        yield f"note: {note}"
    for question in report.asks if report.commands else ():
        yield f"the file does not record {question}"
    if report.commands and not report.complete:
        yield "with --skip-mismatch the other layers are left out and keep random values:"

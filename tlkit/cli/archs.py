"""``tlkit archs``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from tlkit.cli.options import complete_architecture, format_option
from tlkit.cli.output import echo, echo_csv, echo_json, echo_table

if TYPE_CHECKING:
    from tlkit.architectures.architecture import Architecture
    from tlkit.commands.archs import ArchitectureInfo, Architectures


@click.command(short_help="List the architectures, or the layers of one.")
@click.argument("name", required=False, shell_complete=complete_architecture)
@format_option("text", "json", "csv")
def archs(name: str | None, output_format: str) -> None:
    """List the architectures, or with NAME describe one and list its layers.

    Size is the default input size and min the smallest, in pixels; top-1 is the published ImageNet accuracy; features
    is the length of the pooled feature vector; weights are those on this machine. With NAME, index counts the layers
    as --freeze N does, and block numbers the blocks by their last layer; layers of the published classifier come last,
    without an index.

    \b
        tlkit archs
        tlkit archs inceptionv3
        tlkit archs vgg16 --format json
    """
    from tlkit import api

    if name is None:
        _print_all(api.archs(), output_format)
    else:
        _print_one(api.archs(name), output_format)


def _print_all(rows: Architectures, output_format: str) -> None:
    if output_format == "json":
        echo_json(rows.to_dict())
    elif output_format == "csv":
        documents = [{key: value for key, value in row.to_dict().items() if key != "files"} for row in rows]
        for row, document in zip(rows, documents, strict=True):
            document["input_shape"] = _shape(row.architecture.default_shape)
            document["accepts"] = _accepts(row.architecture)
            document |= {key: " ".join(document[key]) for key in ("installed", "blocks")}
        echo_csv([*documents[0]], (list(document.values()) for document in documents))
    else:
        echo_table(
            ("name", "size", "min", "params", "MB", "top-1", "features", "weights"),
            [_cells(row) for row in rows],
            right=range(1, 7),
        )


def _cells(row: ArchitectureInfo) -> tuple[str, ...]:
    one = row.architecture
    size = (str(one.size), str(one.min_size)) if one.fixed_shape is None else (_shape(one.default_shape[:2]), "-")
    top1 = "-" if one.top1 is None else f"{one.top1:.1%}"
    return one.name, *size, f"{one.parameters / 1e6:.1f}M", str(one.size_mb), top1, str(one.features), row.weights


def _accepts(one: Architecture) -> str:
    """The options that change how it is built."""
    words = {"alpha": "alpha", "depth_multiplier": "depth-multiplier"}
    size = "size" if one.accepts["size_with_top"] else "size without top" if one.accepts["size"] else None
    accepted = [size, *(word for name, word in words.items() if one.accepts[name])]
    return ", ".join([word for word in accepted if word] + one.accepts["data_format"][1:]) or "-"


def _shape(shape: Sequence[int | None]) -> str:
    return "x".join(map(str, shape))


def _print_one(row: ArchitectureInfo, output_format: str) -> None:
    if output_format == "json":
        echo_json(row.to_dict())
        return
    layers: list[dict[str, Any]] = [
        {**layer.to_dict(), "output_shape": _shape(layer.output_shape[1:])} for layer in row.layers
    ]
    if output_format == "csv":
        echo_csv([*layers[0]], (list(layer.values()) for layer in layers))
        return
    names = row.architecture.blocks
    blocks = {name: f"{number} of {len(names)}" for number, name in enumerate(names, start=1)}
    _describe(row)
    echo()
    echo_table(
        ("index", "name", "kind", "output", "params", "block"),
        [
            (
                "top" if layer["index"] is None else str(layer["index"]), layer["name"], layer["kind"],
                layer["output_shape"], f"{layer['parameters']:,}", blocks.get(layer["block"], ""),
            )
            for layer in layers
        ],
        right=(0, 4),
    )  # fmt: skip


def _describe(row: ArchitectureInfo) -> None:
    one = row.architecture
    at_least = f", at least {one.min_size}x{one.min_size}" if one.fixed_shape is None else ""
    base = sum(layer.index is not None for layer in row.layers)
    alphas = ", ".join(f"{alpha:g}" for alpha in one.alphas)
    accuracies = [f"{name} {value:.1%}" for name, value in (("top-1", one.top1), ("top-5", one.top5)) if value]
    echo(f"{one.title} ({one.modality})")
    for label, text in (
        ("input", f"{_shape(one.default_shape)}{at_least}"),
        ("parameters", f"{one.parameters:,} with the published classifier"),
        ("accuracy", ", ".join(accuracies) or "not published"),
        ("base", f"{base} layers, {one.features} features; {len(one.blocks)} blocks"),
        ("freeze", f"{one.freeze} is the default freeze point"),
        ("accepts", _accepts(one)),
        ("alpha", alphas and f"published weights for {alphas}"),
        ("weights", f"{one.size_mb} MB, {one.weights_origin}; on this machine: {row.weights.replace('-', 'none')}"),
    ):
        if text:
            echo(f"  {label:<10}  {text}")

"""``tlkit archs``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from tlkit.cli.options import format_option
from tlkit.cli.output import echo, echo_csv, echo_json, echo_table

if TYPE_CHECKING:
    from tlkit.architectures.architecture import Architecture
    from tlkit.architectures.layer_tables import LayerInfo


@click.command()
@click.argument("name", required=False)
@format_option("text", "json", "csv")
def archs(name: str | None, output_format: str) -> None:
    """List the architectures, or with NAME the layers of one.

    Kind is what it takes, image or audio. Sizes are input pixels, accuracies are the published ones on ImageNet,
    features is the length of the pooled feature vector, accepts is what options may change, and here says which of its
    weights are on this machine. With NAME, the index counts the layers that --freeze N
    counts; layers of the published classifier come last, after the base, without an index.

    \b
        tlkit archs
        tlkit archs inceptionv3
        tlkit archs vgg16 --format json
    """
    from tlkit.architectures.registry.lookup import all_architectures, get_architecture

    if name is None:
        _print_all(all_architectures(), output_format)
    else:
        _print_one(get_architecture(name), output_format)


def _facts(row: Architecture) -> dict[str, Any]:
    """One architecture as JSON has it."""
    from tlkit.commands.weights import list_weights

    return {
        "name": row.name,
        "title": row.title,
        "modality": row.modality,
        "size": row.size if row.fixed_shape is None else None,
        "min_size": row.min_size if row.fixed_shape is None else None,
        "input_shape": list(row.default_shape),
        "parameters": row.parameters,
        "size_mb": row.size_mb,
        "top1": row.top1,
        "top5": row.top5,
        "depth": row.depth,
        "features": row.features,
        "preprocessing": row.preprocessing,
        "freeze": row.freeze,
        "weights": row.weights_origin,
        "accepts": row.accepts,
        "installed": [one.file.name for one in list_weights((row.name,)) if one.file and one.path],
    }


def _print_all(rows: tuple[Architecture, ...], output_format: str) -> None:
    if output_format == "json":
        echo_json([{**_facts(row), "blocks": list(row.blocks), "files": _files(row)} for row in rows])
    elif output_format == "csv":
        facts = [_facts(row) for row in rows]
        echo_csv(
            [*facts[0], "blocks"],
            (
                [
                    *{
                        **fact,
                        "input_shape": _cross(row.default_shape),
                        "accepts": _accepts(row),
                        "installed": " ".join(fact["installed"]),
                    }.values(),
                    " ".join(row.blocks),
                ]
                for fact, row in zip(facts, rows, strict=True)
            ),
        )
    else:
        echo_table(
            (
                "name", "kind", "size", "least", "parameters", "MB", "top-1", "top-5", "depth", "features", "blocks",
                "accepts", "weights", "here",
            ),
            (
                (
                    row.name, row.modality, _input(row), _least(row), f"{row.parameters:,}", str(row.size_mb),
                    _percent(row.top1), _percent(row.top5), str(row.depth or "-"), str(row.features),
                    _span(row.blocks), _accepts(row), row.weights_origin, _installed(row),
                )
                for row in rows
            ),
            right=range(2, 10),
        )  # fmt: skip


def _files(row: Architecture) -> dict[str, dict[str, Any]]:
    with_top = row.weights_file(include_top=True)
    without_top = row.weights_file(include_top=False)
    return {"with_top": with_top.to_dict(), "without_top": without_top.to_dict()}


def _accepts(row: Architecture) -> str:
    """The options that say how it is built, for people."""
    words = {"alpha": "alpha", "depth_multiplier": "depth-multiplier"}
    size = "size" if row.accepts["size_with_top"] else "size without top" if row.accepts["size"] else None
    taken = [size, *(word for name, word in words.items() if row.accepts[name])]
    return ", ".join([word for word in taken if word] + row.accepts["data_format"][1:]) or "-"


def _installed(row: Architecture) -> str:
    """Which of its weights files are here, for people."""
    from tlkit.commands.weights import list_weights

    files = list_weights((row.name,))
    here = [one for one in files if one.path is not None]
    if len(here) in (0, len(files)):
        return "all" if here else "-"
    if len(files) == 2:
        return "with top" if here[0].file and here[0].file.top == "yes" else "without top"
    return f"{len(here)} of {len(files)}"


def _input(row: Architecture) -> str:
    return str(row.size) if row.fixed_shape is None else _cross(row.default_shape)


def _least(row: Architecture) -> str:
    return str(row.min_size) if row.fixed_shape is None else "-"


def _cross(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _span(blocks: tuple[str, ...]) -> str:
    return f"{blocks[0]} … {blocks[-1]} ({len(blocks)})"


def _print_one(row: Architecture, output_format: str) -> None:
    from tlkit.architectures.layer_tables import layers_of

    base = layers_of(row, include_top=False)
    top = [layer for layer in layers_of(row, include_top=True) if layer.part == "top"]
    if output_format == "json":
        echo_json(
            {
                **_facts(row),
                "blocks": list(row.blocks),
                "files": _files(row),
                "layers": [_layer(index, layer, row) for index, layer in _indexed(base, top)],
            }
        )
        return
    layers = [_layer(index, layer, row) for index, layer in _indexed(base, top)]
    if output_format == "csv":
        echo_csv(
            ("index", "name", "kind", "output_shape", "parameters", "block"),
            (
                [_shape(value) if key == "output_shape" else value for key, value in item.items()] for item in layers
            ),
        )  # fmt: skip
        return
    echo(
        f"{row.title}: {row.modality}, input {_shown_input(row)}, {row.parameters:,} parameters, "
        f"{len(base)} layers without its classifier; fine-tuning starts after {row.freeze} unless told otherwise."
    )
    widths = f" (weights for alpha {', '.join(f'{alpha:g}' for alpha in row.alphas)})" if row.alphas else ""
    echo(f"Accepts: {_accepts(row)}{widths}. Weights here: {_installed(row)} (`tlkit weights list {row.name}`).")
    echo_table(
        ("index", "name", "kind", "output", "parameters", "block"),
        (
            (
                "top" if item["index"] is None else str(item["index"]), item["name"], item["kind"],
                _shape(item["output_shape"]), f"{item['parameters']:,}", item["block"] or "",
            )
            for item in layers
        ),
        right=(0, 4),
    )  # fmt: skip


def _shown_input(row: Architecture) -> str:
    if row.fixed_shape is not None:
        return _cross(row.fixed_shape)
    return f"{row.size}x{row.size} (least {row.min_size})"


def _indexed(base: Any, top: Any) -> list[tuple[int | None, LayerInfo]]:
    return [*enumerate(base), *((None, layer) for layer in top)]


def _layer(index: int | None, layer: LayerInfo, row: Architecture) -> dict[str, Any]:
    return {
        "index": index,
        "name": layer.name,
        "kind": layer.kind,
        "output_shape": [None, *layer.shape],
        "parameters": layer.parameters,
        "block": layer.name if layer.name in row.blocks and index is not None else None,
    }


def _shape(shape: list[int | None]) -> str:
    return "x".join(str(side) for side in shape[1:])

"""``tlkit bottleneck``."""

from __future__ import annotations

from typing import Any

import click

from tlkit.cli.app import SOME_SKIPPED
from tlkit.cli.options import (
    FiniteRange,
    build_options,
    config_option,
    engine_batch_option,
    engine_options,
    layer_options,
    load_options,
    resize_option,
    seed_option,
    size_option,
    weights_option,
)
from tlkit.cli.output import echo, echo_json
from tlkit.config import DEFAULT_ARCHITECTURE, BottleneckConfig
from tlkit.utils.text import pluralize


@click.command()
@click.argument("data", metavar="DATA")
@click.option("-o", "--output", metavar="DIR", required=True, help="Folder to write into.")
@click.option("--format", type=click.Choice(["npy", "hdf5"]), default="npy", show_default=True, help="What to write.")
@click.option("--arch", metavar="NAME", default=DEFAULT_ARCHITECTURE, show_default=True,
              help="The base network.")  # fmt: skip
@layer_options
@weights_option()
@load_options
@size_option
@build_options()
@resize_option()
@click.option("--val-split", type=FiniteRange(0, 1, min_open=True, max_open=True), default=0.2, show_default=True,
              help="Share of each class held out where DATA has no validation folder.")  # fmt: skip
@engine_batch_option
@engine_options
@seed_option
@config_option
@click.option("--force", is_flag=True, help="Write over features of something else.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.pass_context
def bottleneck(context: click.Context, /, as_json: bool, **options: Any) -> None:
    """Write what the base says of every picture (or clip) in DATA, which holds class folders as for `tlkit finetune`.

    For each split of DATA (train, validation, test): bottleneck_features_SPLIT.npy, bottleneck_labels_SPLIT.npy and
    bottleneck_SPLIT.json (class names, files, provenance); or with --format hdf5 one bottleneck_features.h5 with a
    group a split holding `features`, `labels` and `files`. Interrupted, the same command goes on where it was; run
    again, it computes only what is new or changed. JSON has `output`, `splits` (`shape` and `files` each), `classes`,
    `provenance`, `computed`, `failed` (each `input`, `error`), `notes` and `warnings`.

    \b
        tlkit bottleneck data/ -o features/
        tlkit bottleneck data/ -o maps/ --arch vgg16 --size 150 --pooling none --format hdf5
        tlkit finetune data/ --features features/
    """
    from tlkit.commands.bottleneck import bottleneck as run

    done = run(BottleneckConfig(**options))
    if as_json:
        echo_json(
            {
                "output": str(done.output),
                "splits": {
                    name: {"shape": list(shape), "files": [str(path) for path in done.files[name]]}
                    for name, shape in done.shapes.items()
                },
                "classes": list(done.classes),
                "provenance": done.provenance,
                "computed": done.computed,
                "failed": [{"input": source, "error": reason} for source, reason in done.failed],
                "notes": done.notes,
                "warnings": list(done.warnings),
            }
        )
    else:
        for name, shape in done.shapes.items():
            rows = f"{pluralize(shape[0], 'row')} of {'x'.join(map(str, shape[1:]))}"
            echo(f"{name:<10}  {rows}  {done.files[name][0]}")
    if done.failed:
        context.exit(SOME_SKIPPED)

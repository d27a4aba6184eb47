"""``tlkit extract``."""

from __future__ import annotations

from typing import Any

import click

from tlkit.cli.app import SOME_SKIPPED
from tlkit.cli.options import (
    build_options,
    config_option,
    engine_batch_option,
    engine_options,
    format_option,
    layer_options,
    load_options,
    resize_option,
    seed_option,
    size_option,
    weights_option,
)
from tlkit.cli.output import echo, echo_json
from tlkit.config import DEFAULT_ARCHITECTURE, ExtractConfig
from tlkit.utils.logging import logger
from tlkit.utils.text import pluralize


@click.command()
@click.argument("images", metavar="IMAGES...", nargs=-1, required=True)
@click.option("-o", "--output", metavar="FILE", required=True, help="File to write: .npy, .h5 or .csv.")
@click.option("--arch", metavar="NAME", help=f"The network.  [default: {DEFAULT_ARCHITECTURE}]")
@click.option("--model", metavar="RUN", help="Instead, the network of a run that `tlkit finetune` made.")
@layer_options
@weights_option(of_run=True)
@load_options
@size_option
@build_options()
@resize_option(of_run=True)
@engine_batch_option
@engine_options
@seed_option
@config_option
@click.option("--allow-private", is_flag=True, help="Also take addresses inside this network (127.0.0.1, 10.…).")
@click.option("--force", is_flag=True, help="Write over FILE where it holds something else.")
@format_option("text", "json")
@click.pass_context
def extract(context: click.Context, /, output_format: str, **options: Any) -> None:
    """Write what one layer says of IMAGES: files, folders (all pictures below them) and http(s) addresses.

    Clips where the network takes audio.

    Rows are float32, in input order. What they are of travels with them: in an .h5 as `features`, `files` and
    `sha256` with the attribute `provenance`; beside a .npy or .csv as FILE.json. Interrupted, the same command goes
    on where it was. JSON has `output`, `shape`, `provenance`, `computed`, `failed` (each `input`, `error`) and
    `notes`.

    \b
        tlkit extract photos/ -o photos.npy
        tlkit extract photos/ --arch vgg19 --layer block4_pool --pooling none -o maps.h5
        tlkit extract photos/ --model runs/efficientnetlite0-1 --layer fc -o photos.csv
    """
    from tlkit.commands.extract import extract as run

    done = run(ExtractConfig(**options))
    for source, reason in done.failed:
        logger.warning("%s: %s.", source, reason)
    if output_format == "json":
        echo_json(
            {
                "output": str(done.output),
                "shape": list(done.shape),
                "provenance": done.provenance,
                "computed": done.computed,
                "failed": [{"input": source, "error": reason} for source, reason in done.failed],
                "notes": done.notes,
            }
        )
    else:
        shape = "x".join(map(str, done.shape[1:]))
        what = f"{done.provenance['layer']} of {done.provenance['architecture']}"
        echo(f"{done.output}: {pluralize(done.shape[0], 'row')} of {shape}, {what}")
    if done.failed:
        context.exit(SOME_SKIPPED)

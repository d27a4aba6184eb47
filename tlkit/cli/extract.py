"""``tlkit extract``."""

from __future__ import annotations

from typing import Any

import click

from tlkit.cli.app import SOME_SKIPPED
from tlkit.cli.options import config_option, format_option, job_command
from tlkit.cli.output import echo, echo_json
from tlkit.cli.parts import end_with_part
from tlkit.config import ExtractConfig
from tlkit.utils.text import pluralize


@job_command(ExtractConfig, summary="Save the activations of one layer as features.")
@config_option
@format_option("text", "json")
@click.pass_context
def extract(context: click.Context, /, options: dict[str, Any], output_format: str) -> None:
    """Extract the activations of one layer for IMAGES and save them as features.

    IMAGES are files, directories (searched recursively; also s3://bucket/folder/), URLs and .parquet lists of them;
    recordings where the network takes audio. The default network is efficientnetlite0.

    Features are float32, in input order. File names and provenance are stored alongside: in an .h5 as `files`,
    `sha256` and the attribute `provenance`; beside a .npy or .csv as FILE.json. Interrupted, the same command
    resumes.

    \b
        tlkit extract photos/ -o photos.npy
        tlkit extract photos/ -o maps.h5 --arch vgg19 --layer block4_pool
        tlkit extract photos/ --model runs/flowers --layer fc -o photos.csv
    """
    from tlkit import api

    result = api.extract(**options)
    if options.get("part"):
        end_with_part(context, result, as_json=output_format == "json")
    if output_format == "json":
        echo_json(result.to_dict())
    else:
        shape = "x".join(map(str, result.shape[1:]))
        what = f"{result.provenance.layer} of {result.provenance.architecture}"
        echo(f"{result.output}: {pluralize(result.shape[0], 'sample')} of {shape}, {what}")
    if result.skipped:
        context.exit(SOME_SKIPPED)

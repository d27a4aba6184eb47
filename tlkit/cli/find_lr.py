"""``tlkit find-lr``."""

from __future__ import annotations

from typing import Any

import click

from tlkit.cli.app import SOME_SKIPPED
from tlkit.cli.options import config_option, format_option, job_command
from tlkit.cli.output import echo, echo_json
from tlkit.config import FindLrConfig


@job_command(FindLrConfig, name="find-lr", summary="Find a learning rate for your own folders of images.")
@config_option
@format_option("text", "json")
@click.pass_context
def find_lr(context: click.Context, /, options: dict[str, Any], output_format: str) -> None:
    """Find a learning rate, the size of the steps in training, for the images in DATA.

    A few batches are trained while the rate rises, to see from where on the loss (what training reduces) does.

    Options are those of `tlkit finetune`, which does the same for `--finetune-lr auto` and `--lr auto`. The suggested
    rate is a tenth of the one at which the loss is least, or from which on it rises. Where it does neither, that is
    said.

    \b
        tlkit find-lr data/ --plot rates.png
        tlkit find-lr data/ --phase head --optimizer adam
        tlkit find-lr data/ --recipe strong --arch resnet50
    """
    from tlkit import api

    found = api.find_lr(**options)
    if output_format == "json":
        echo_json(found.to_dict())
    else:
        echo(f"{found.option} {found.suggested:g}")
    if found.skipped:
        context.exit(SOME_SKIPPED)

"""``tlkit compare``."""

from __future__ import annotations

from typing import Any

import click

from tlkit.cli.app import SOME_SKIPPED
from tlkit.cli.options import format_option, job_command
from tlkit.cli.output import echo, echo_csv, echo_json, echo_table
from tlkit.config import CompareConfig


@job_command(CompareConfig, summary="Find the base whose features suit your images best.")
@format_option("text", "json", "csv")
@click.pass_context
def compare(context: click.Context, /, options: dict[str, Any], output_format: str) -> None:
    """Compare networks as bases for the images in DATA: which features separate its classes best, and at what cost.

    A linear classifier is trained on the features of each network, and measured on images that it was not trained on:
    the images are dealt into folds, the same for all networks, several times. Bases that are not shown to differ
    (corrected resampled t-test) are said to be equal. Without --archs, every network whose weights are on this
    machine. Images of a test folder are left out.

    \b
        tlkit compare data/
        tlkit compare data/ --archs resnet50,convnexttiny --report bases.html
        tlkit compare data/ --archs efficientnetlite0 --size 128,224
    """
    from tlkit import api
    from tlkit.commands.compare import name_of

    result = api.compare(**options)
    rows = result.rows
    if output_format == "json":
        echo_json(result.to_dict())
    elif output_format == "csv":
        names = (
            "arch", "layer", "size", "accuracy", "low", "high", "ms_per_image", "megabytes", "p_value", "equal_to_best"
        )  # fmt: skip
        echo_csv(
            names,
            [
                (
                    row.arch, row.layer, f"{row.size[0]}x{row.size[1]}", f"{row.accuracy:.4f}",
                    f"{row.interval[0]:.4f}", f"{row.interval[1]:.4f}", f"{row.ms_per_image:.3f}", row.megabytes,
                    f"{row.p_value:.4g}",
                    row.equal_to_best,
                )
                for row in rows
            ],
        )  # fmt: skip
    else:
        echo_table(
            ("base", "accuracy", "interval", "ms/image", "MB", ""),
            [
                (
                    name_of(row, rows), f"{row.accuracy:.3f}", f"[{row.interval[0]:.3f}, {row.interval[1]:.3f}]",
                    f"{row.ms_per_image:.1f}", f"{row.megabytes:g}",
                    "best" if row is rows[0] else "equal" if row.equal_to_best else "",
                )
                for row in rows
            ],
            right=(1, 3, 4),
        )  # fmt: skip
        echo()
        echo(result.verdict)
    if result.skipped or result.left_out:
        context.exit(SOME_SKIPPED)

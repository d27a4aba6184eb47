"""``tlkit convert-h5``."""

from __future__ import annotations

from typing import Any

import click

from tlkit.cli.options import build_options, format_option, load_options
from tlkit.cli.output import echo, echo_json
from tlkit.config import ConvertConfig
from tlkit.utils.text import pluralize


@click.command("convert-h5")
@click.argument("source", metavar="IN")
@click.argument("output", metavar="OUT")
@click.option("--arch", metavar="NAME", required=True, help="Whose weights IN holds.")
@load_options
@build_options(runs=False)
@click.option("--force", is_flag=True, help="Write over OUT where it exists.")
@format_option("text", "json")
def convert_h5(output_format: str, **options: Any) -> None:
    """Write the weights in IN, of any Keras since 2015, as OUT, a .weights.h5 that Keras 3 loads today.

    Layouts are converted as `tlkit inspect-h5 IN --arch NAME` tells; a base inside a full model is found. OUT is read
    back and compared before it gets its name. JSON has `output`, `architecture`, `include_top`, `layers`, `tensors`,
    `matched_by`, `conversions`, `unused` and `left_random`.

    \b
        tlkit convert-h5 vgg16_2016.h5 vgg16.weights.h5 --arch vgg16 --flip-kernels
        tlkit convert-h5 finetuned.h5 base.weights.h5 --arch inceptionv3
    """
    from tlkit.commands.convert_h5 import convert_h5 as run

    done = run(ConvertConfig(**options))
    report = done.report
    if output_format == "json":
        echo_json(
            {
                "output": str(done.output),
                "architecture": done.architecture,
                "include_top": done.include_top,
                "layers": report.layers,
                "tensors": report.tensors,
                "matched_by": report.matched_by,
                "conversions": dict(report.conversions or {}),
                "unused": list(report.unused),
                "left_random": list(report.left_random),
            }
        )
        return
    top = "with" if done.include_top else "without"
    echo(
        f"{done.output}: {pluralize(report.tensors, 'tensor')} of {done.architecture} {top} its classifier, "
        "read back and equal."
    )

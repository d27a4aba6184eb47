"""``tlkit convert-h5``."""

from __future__ import annotations

from typing import Any

from tlkit.cli.options import format_option, job_command
from tlkit.cli.output import echo, echo_json
from tlkit.config import ConvertConfig
from tlkit.utils.text import pluralize


@job_command(ConvertConfig, "convert-h5", summary="Convert a weights file to today's .weights.h5.")
@format_option("text", "json")
def convert_h5(options: dict[str, Any], output_format: str) -> None:
    """Write the weights in IN, of any Keras since 2015, as OUT, a .weights.h5 that Keras 3 loads today.

    Layouts are converted as `tlkit inspect-h5 IN --arch NAME` tells; a base inside a full model is found. OUT is read
    back and compared before it gets its name. JSON has `output`, `architecture`, `include_top`, `layers`, `tensors`,
    `matched_by`, `conversions`, `unused` and `left_random`.

    \b
        tlkit convert-h5 old.h5 vgg16.weights.h5 --arch vgg16 --flip-kernels
        tlkit convert-h5 finetuned.h5 base.weights.h5 --arch inceptionv3
    """
    from tlkit import api

    done = api.convert_h5(**options)
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

"""``tlkit convert-h5``."""

from __future__ import annotations

from typing import Any

from tlkit.cli.options import format_option, job_command
from tlkit.cli.output import echo, echo_json
from tlkit.config import ConvertConfig
from tlkit.utils.text import pluralize


@job_command(ConvertConfig, "convert-h5", summary="Convert old Keras weights for Keras 3.")
@format_option("text", "json")
def convert_h5(options: dict[str, Any], output_format: str) -> None:
    """Convert old Keras weights for Keras 3.

    IN is a weights or model file of any Keras since 2015, OUT a .weights.h5 that Keras 3 loads. Layouts are converted
    as `tlkit inspect-h5 IN --arch NAME` reports; a base inside a full model is found. OUT is read back and compared
    before it gets its name.

    \b
        tlkit convert-h5 old.h5 vgg16.weights.h5 --arch vgg16 --flip-kernels
        tlkit convert-h5 finetuned.h5 base.weights.h5 --arch inceptionv3
    """
    from tlkit import api

    converted = api.convert_h5(**options)
    if output_format == "json":
        echo_json(converted.to_dict())
        return
    top = "with" if converted.include_top else "without"
    echo(
        f"{converted.output}: {pluralize(converted.report.tensors, 'tensor')} of {converted.architecture} {top} its "
        "classifier, read back and equal."
    )

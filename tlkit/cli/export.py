"""``tlkit export``."""

from __future__ import annotations

from typing import Any

from tlkit.cli.options import job_command
from tlkit.cli.output import echo_json
from tlkit.config import ExportConfig
from tlkit.utils.logging import logger


@job_command(ExportConfig, summary="Write a classifier for other programs, with a proof.")
def export(options: dict[str, Any]) -> None:
    """Write a run, or a full Keras model, in a format that other programs run.

    The file takes images as they are, (batch, height, width, 3) uint8 RGB, and gives calibrated probabilities: what
    scales pixels is inside. Class names, input size and resizing travel in its metadata. It is run at once on the
    validation images of the run; where it gives other answers, it is not given out. Prints JSON.

    \b
        tlkit export runs/flowers -o flowers.onnx
        tlkit export runs/flowers -o flowers.tflite --precision int8
        tlkit export model.h5 --preprocess caffe -o model.xml
        tlkit predict --model flowers.onnx img.jpg
    """
    from tlkit import api
    from tlkit.exporting.result import summary

    result = api.export(**options)
    for line in (*summary(result).splitlines(), *result.notes):
        logger.info("%s", line)
    echo_json(result.to_dict())

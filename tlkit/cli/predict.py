"""``tlkit predict``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from tlkit.cli.app import SOME_SKIPPED
from tlkit.cli.options import format_option, job_command
from tlkit.cli.output import echo, echo_csv, echo_json
from tlkit.cli.parts import end_with_part
from tlkit.config import PredictConfig
from tlkit.utils.logging import warn_skipped
from tlkit.utils.text import shorten

if TYPE_CHECKING:
    from tlkit.commands.predict import Predictions

_COLUMNS = ("input", "rank", "label", "name", "probability", "error", "unknown_score")


@job_command(PredictConfig, summary="Classify images.")
@format_option("text", "json", "csv")
@click.pass_context
def predict(context: click.Context, /, options: dict[str, Any], output_format: str) -> None:
    """Classify IMAGES: files, directories (searched recursively), URLs (http, s3, …), or - for standard input.

    A .parquet file is a list of them.

    The default network is efficientnetlite0. A network that takes audio (`tlkit archs` lists them) classifies
    recordings instead: WAV, FLAC, OGG, MP3.

    \b
        tlkit predict img.jpg
        tlkit predict photos/ --top 3 --format json
        tlkit predict img.jpg --plot img-classes.png
        convert img.psd png:- | tlkit predict -
        tlkit predict --model runs/efficientnetlite0-1 img.jpg
        tlkit predict img.jpg --explain why.png
        tlkit predict song.mp3 --arch musictaggercrnn
        tlkit predict --model old.h5 --preprocess tf --labels names.txt img.jpg
    """
    from tlkit import api

    predictions = api.predict(**options)
    if options.get("part"):
        end_with_part(context, predictions, as_json=output_format == "json")
    failed = [(prediction.input, prediction.error) for prediction in predictions if prediction.error]
    warn_skipped(failed)
    if output_format == "json":
        echo_json(predictions.to_dict())
    elif output_format == "csv":
        columns = (*_COLUMNS, "given") if predictions.multi_label else _COLUMNS
        echo_csv(columns, (row[: len(columns)] for row in _as_rows(predictions)))
    else:
        _echo_text(predictions)
    if failed:
        context.exit(SOME_SKIPPED)


def _as_rows(predictions: Predictions) -> Iterator[tuple[Any, ...]]:
    """Yield rows of all columns; the last is for runs that give several labels an image."""
    for prediction in predictions:
        strange = None if prediction.unknown_score is None else f"{prediction.unknown_score:.3f}"
        if prediction.error or not prediction.scores:
            yield prediction.input, None, None, None, None, prediction.error, strange, None
        for score in prediction.scores:
            given = None if prediction.labels is None else int(score.name in prediction.labels)
            yield (
                prediction.input, score.rank, score.label, score.name, f"{score.probability:.6f}", None, strange, given
            )  # fmt: skip


def _echo_text(predictions: Predictions) -> None:
    width = max((len(shorten(score.name)) for prediction in predictions for score in prediction.scores), default=0)
    for prediction in predictions:
        if prediction.error:
            continue
        echo(prediction.input)
        if not prediction.scores:
            echo(f"  unknown ({prediction.unknown_score:.2f}; above 1 is unlike the training images)")
        for score in prediction.scores:
            label = f"  {shorten(score.label)}" if score.label != score.name else ""
            given = "" if prediction.labels is None else "*" if score.name in prediction.labels else " "
            echo(f"  {score.probability:6.1%} {given} {shorten(score.name):<{width}}{label}".rstrip())
        if prediction.labels is not None and prediction.scores:
            echo(f"  labels: {', '.join(prediction.labels) or 'none'}")

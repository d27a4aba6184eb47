"""``tlkit predict``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tlkit.cli.app import SOME_SKIPPED
from tlkit.cli.options import (
    batch_size_option,
    build_options,
    engine_options,
    format_option,
    load_options,
    resize_option,
    size_option,
    weights_option,
)
from tlkit.cli.output import echo, echo_csv, echo_json
from tlkit.config import DEFAULT_ARCHITECTURE, PredictConfig
from tlkit.errors import UsageError
from tlkit.utils.logging import logger
from tlkit.utils.text import escape_control_chars

if TYPE_CHECKING:
    from tlkit.commands.predict import Prediction

MAX_PLOTTED = 16
PREPROCESSING = ("caffe", "tf", "torch", "lite", "unit", "none")


@click.command()
@click.argument("images", metavar="IMAGES...", nargs=-1, required=True)
@click.option("--arch", metavar="NAME", help=f"Published network to ask.  [default: {DEFAULT_ARCHITECTURE}]")
@click.option("--model", metavar="RUN|FILE",
              help="Ask a run that `tlkit finetune` made instead, or a full Keras model (.h5, .keras).")  # fmt: skip
@click.option("--preprocess", type=click.Choice(PREPROCESSING),
              help="For a model FILE: what it was trained on. caffe: BGR minus mean. tf: -1 to 1. torch: mean and "
              "deviation. lite: (x-127)/128. unit: 0 to 1. none: 0 to 255, or scaled inside the model.")  # fmt: skip
@weights_option(of_run=True)
@load_options
@size_option
@build_options()
@resize_option(of_run=True)
@click.option("--labels", metavar="FILE", help="Class names, one a line, in the order of the network's outputs.")
@click.option("--top", type=click.IntRange(1), default=5, show_default=True, help="How many classes to name.")
@click.option("--plot", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help=f"Draw each picture beside a bar chart of its classes (the first {MAX_PLOTTED}).")  # fmt: skip
@batch_size_option
@engine_options
@click.option("--allow-private", is_flag=True, help="Also take addresses inside this network (127.0.0.1, 10.…).")
@format_option("text", "json", "csv")
def predict(plot: Path | None, output_format: str, **options: Any) -> None:
    """Name what is in IMAGES: files, folders (all pictures below them) and http(s) addresses.

    A network that takes audio (`tlkit archs` says which) names what is in clips instead: WAV, FLAC, OGG, MP3.

    JSON is a list with one object an input, in input order: `input`, and `predictions` (each with `rank`,
    `label`, `name` and `probability`) or `error`. CSV has the columns input, rank, label, name, probability,
    error.

    \b
        tlkit predict img.jpg
        tlkit predict photos/ --top 3 --format json
        tlkit predict img.jpg --plot img-classes.png
        tlkit predict --model runs/efficientnetlite0-1 img.jpg
        tlkit predict song.mp3 --arch musictaggercrnn
        tlkit predict --model old.h5 --preprocess tf --labels names.txt img.jpg
    """
    from tlkit.commands.predict import predict as run

    if plot:
        from tlkit.reporting.plots import check_plot_path

        check_plot_path(plot)
        _refuse_to_overwrite(plot, options["images"])
    predictions = run(PredictConfig(**options, keep_pictures=MAX_PLOTTED if plot else 0))
    if output_format == "json":
        echo_json([_as_json(prediction) for prediction in predictions])
    elif output_format == "csv":
        echo_csv(("input", "rank", "label", "name", "probability", "error"), _as_rows(predictions))
    else:
        _echo_text(predictions)
    if plot:
        _draw(predictions, plot)
    failed = [prediction for prediction in predictions if prediction.error]
    if output_format != "text":
        for prediction in failed:
            _warn(prediction)
    if failed:
        click.get_current_context().exit(SOME_SKIPPED)


def _refuse_to_overwrite(plot: Path, inputs: Sequence[str]) -> None:
    from tlkit.data.discovery import expand_inputs
    from tlkit.data.modality import IMAGE

    if plot.exists() and any(Path(path).exists() and plot.samefile(path) for path in expand_inputs(inputs, IMAGE)):
        raise UsageError(
            f"--plot {plot} would overwrite one of the pictures to predict.",
            hint="Give it another name.",
        )


def _warn(prediction: Prediction) -> None:
    reason = str(prediction.error)
    logger.warning("%s is skipped: %s%s", prediction.input, reason, "" if reason.endswith("?") else ".")


def _as_json(prediction: Prediction) -> dict[str, Any]:
    if prediction.error:
        return {"input": prediction.input, "error": prediction.error}
    return {
        "input": prediction.input,
        "predictions": [
            {"rank": score.rank, "label": score.label, "name": score.name, "probability": score.probability}
            for score in prediction.scores
        ],
    }


def _as_rows(predictions: Sequence[Prediction]) -> Iterator[tuple[Any, ...]]:
    for prediction in predictions:
        if prediction.error:
            yield prediction.input, None, None, None, None, prediction.error
        for score in prediction.scores:
            yield prediction.input, score.rank, score.label, score.name, f"{score.probability:.6f}", None


def _echo_text(predictions: Sequence[Prediction]) -> None:
    names = [score.name for prediction in predictions for score in prediction.scores]
    width = max(map(len, map(escape_control_chars, names)), default=0)
    for prediction in predictions:
        if prediction.error:
            _warn(prediction)
            continue
        echo(prediction.input)
        for score in prediction.scores:
            label = f"  {score.label}" if score.label != score.name else ""
            echo(f"  {score.probability:6.1%}  {score.name:<{width}}{label}".rstrip())


def _draw(predictions: Sequence[Prediction], path: Path) -> None:
    from tlkit.reporting.plots import plot_predictions

    shown = [prediction for prediction in predictions if prediction.picture]
    if not shown:
        logger.warning("There is nothing to draw; %s is not written.", path)
        return
    plot_predictions(
        [
            (
                prediction.picture,
                Path(prediction.input).name,
                [(score.name, score.probability) for score in prediction.scores],
            )
            for prediction in shown
            if prediction.picture
        ],
        path,
    )
    read = sum(not prediction.error for prediction in predictions)
    logger.info("Drew %d of %d pictures to %s.", len(shown), read, path)

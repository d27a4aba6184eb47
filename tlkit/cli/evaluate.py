"""``tlkit evaluate``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from tlkit.cli.app import SOME_SKIPPED
from tlkit.cli.options import batch_size_option, engine_options, format_option
from tlkit.cli.output import echo, echo_csv, echo_json, echo_table
from tlkit.config import EvaluateConfig
from tlkit.utils.text import escape_control_chars, pluralize

if TYPE_CHECKING:
    from tlkit.commands.evaluate import Evaluated

_MOST = 12
"""Classes up to which text shows what was taken for what."""


@click.command()
@click.argument("run", metavar="RUN")
@click.argument("data", metavar="DATA")
@click.option("--split", type=click.Choice(["test", "validation", "train"]),
              help="Which folder of DATA, where it has splits.  [default: test, else validation]")  # fmt: skip
@click.option("--report", metavar="FILE", help="Also write a page to look at, one HTML file.")
@batch_size_option
@engine_options
@format_option("text", "json", "csv")
@click.pass_context
def evaluate(context: click.Context, /, output_format: str, **options: Any) -> None:
    """Measure how well RUN names the pictures (or clips) in DATA.

    DATA is a folder of class folders, called as the classes of the run, or holds them in test/, validation/ or
    train/. Text and JSON say accuracy, top-5 accuracy where there are more than five classes, precision, recall and
    F1 of each class, and what was taken for what (confusion: rows are what pictures are); CSV has one line a class.

    \b
        tlkit evaluate runs/flowers data/
        tlkit evaluate runs/flowers new-pictures/ --report flowers.html --format json
    """
    from tlkit.commands import evaluate as recipe

    config = EvaluateConfig(**options)
    result = recipe.evaluate(config)
    if output_format == "json":
        skipped = [{"input": path, "error": reason} for path, reason in result.skipped]
        echo_json(
            {
                "run": config.run,
                "data": config.data,
                "split": result.split,
                **result.evaluation.summary(),
                "skipped": skipped,
                "warnings": list(result.warnings),
            }
        )
    elif output_format == "csv":
        echo_csv(
            ("class", "pictures", "predicted", "precision", "recall", "f1"),
            [
                (row.name, row.pictures, row.predicted, row.precision, row.recall, row.f1)
                for row in result.evaluation.by_class
            ],
        )
    else:
        _echo_text(result)
    if config.report is not None:  # after the numbers, which are worth more
        recipe.write_report(result, config)
    if result.skipped:
        context.exit(SOME_SKIPPED)


def _echo_text(result: Evaluated) -> None:
    evaluation, kind = result.evaluation, result.preprocessor.modality
    top5 = "" if evaluation.top5 is None else f", top-5 {evaluation.top5:.3f}"
    echo(f"{pluralize(len(result.files), kind.singular)} ({result.split}): accuracy {evaluation.accuracy:.3f}{top5}")
    echo()
    echo_table(
        ("class", kind.plural, "precision", "recall", "F1"),
        [
            (row.name, f"{row.pictures:,}", *map(_share, (row.precision, row.recall, row.f1)))
            for row in evaluation.by_class
        ],
        right=range(1, 5),
    )
    if len(evaluation.classes) <= _MOST:
        echo()
        echo_table(
            ("is / taken for", *map(escape_control_chars, evaluation.classes)),
            [
                (name, *(f"{count:,}" for count in counts))
                for name, counts in zip(evaluation.classes, evaluation.confusion, strict=True)
            ],
            right=range(1, len(evaluation.classes) + 1),
        )


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"

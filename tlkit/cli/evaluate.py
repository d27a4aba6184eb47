"""``tlkit evaluate``."""

from __future__ import annotations

from dataclasses import asdict, astuple
from typing import TYPE_CHECKING, Any

import click

from tlkit.cli.app import SOME_SKIPPED
from tlkit.cli.options import format_option, job_command
from tlkit.cli.output import echo, echo_csv, echo_json, echo_table
from tlkit.config import EvaluateConfig
from tlkit.utils.text import pluralize, shorten

if TYPE_CHECKING:
    from tlkit.commands.evaluate import EvaluationResult

_WIDTH = 80
"""Widest confusion matrix that is printed, in columns."""


@job_command(EvaluateConfig, summary="Measure a run on labelled images, or compare two.", optional=("run_b",))
@format_option("text", "json", "csv")
@click.pass_context
def evaluate(context: click.Context, /, options: dict[str, Any], output_format: str) -> None:
    """Measure how well RUN classifies the images (or recordings) in DATA.

    DATA holds one folder per class, named as the classes of the run, or holds them in test/, validation/ or train/.
    Reports accuracy with its 95% confidence interval, top-5 accuracy if there are more than five classes, precision,
    recall and F1 of each class, and the confusion matrix; CSV has one line per class. With RUN_B, also whether one of
    the two runs is better: McNemar's test on the images that only one of them gets right.

    \b
        tlkit evaluate runs/flowers data/
        tlkit evaluate runs/flowers new-images/ --report flowers.html
        tlkit evaluate runs/flowers runs/flowers-strong data/
        tlkit evaluate runs/flowers data/ --foreign anything-else/
    """
    from tlkit import api

    result = api.evaluate(**options)
    if output_format == "json":
        echo_json(result.to_dict())
    elif output_format == "csv":
        echo_csv(
            ("class", *(name for name in asdict(result.evaluation.by_class[0]) if name != "name")),
            [astuple(row) for row in result.evaluation.by_class],
        )
    else:
        _echo_text(result)
    if result.skipped or (result.foreign and result.foreign.skipped):
        context.exit(SOME_SKIPPED)


def _echo_text(result: EvaluationResult) -> None:
    from tlkit.reporting.metrics import format_accuracy, wilson_interval
    from tlkit.reporting.multi_label import LabelReport, MultiLabelEvaluation

    evaluation, modality = result.evaluation, result.preprocessor.modality
    top5 = "" if evaluation.top5 is None else f", top-5 {format_accuracy(evaluation.top5, evaluation.top5_interval)}"
    images = pluralize(len(result.files), modality.singular)
    accuracy = format_accuracy(evaluation.accuracy, evaluation.interval)
    also = ", also used to choose the epoch" if result.chosen_on else ""
    echo(f"{images} ({result.split}): accuracy {accuracy}{also}{top5}")
    if isinstance(evaluation, MultiLabelEvaluation):
        echo(f"mean average precision {evaluation.ranking}; accuracy counts images whose labels are all right")
    if result.accuracy_without_tta is not None:
        without = wilson_interval(result.accuracy_without_tta, len(result.files))
        echo(f"without --tta: accuracy {format_accuracy(result.accuracy_without_tta, without)}")
    if result.comparison is not None:
        other = result.comparison.evaluation
        echo(f"{result.comparison.run}: accuracy {format_accuracy(other.accuracy, other.interval)}")
        same = f"{result.comparison.agreement:.1%} of the {modality.plural} get the same answer"
        echo(f"{same}; probabilities differ by {result.comparison.max_difference:.2g} at most")
        echo(str(result.verdict))
    if result.foreign is not None:
        foreign = result.foreign
        echo(
            f"{pluralize(foreign.images, f'foreign {modality.singular}')}: "
            f"{format_accuracy(foreign.turned_away, foreign.interval)} turned away as unknown, and "
            f"{foreign.known_turned_away:.3f} of the known; AUROC {foreign.auroc:.3f}"
        )
    echo()
    several = isinstance(evaluation, MultiLabelEvaluation)
    echo_table(
        ("class", modality.plural, "precision", "recall", "F1", *(("AP", "threshold") if several else ())),
        [
            (
                shorten(row.name),
                f"{row.images:,}",
                *map(_share, (row.precision, row.recall, row.f1)),
                *map(_share, (row.average_precision, row.threshold) if isinstance(row, LabelReport) else ()),
            )
            for row in evaluation.by_class
        ],
        right=range(1, 7),
    )
    if isinstance(evaluation, MultiLabelEvaluation):
        return
    echo()
    names = [shorten(name) for name in evaluation.classes]
    header = ("true \\ predicted", *names)
    if len(header) > _WIDTH or max(map(len, header)) + sum(len(name) + 2 for name in names) > _WIDTH:
        echo(f"The confusion matrix of {len(names)} classes is too wide for text; --report FILE draws it.")
        return
    echo_table(
        header,
        [(name, *(f"{count:,}" for count in counts)) for name, counts in zip(names, evaluation.confusion, strict=True)],
        right=range(1, len(header)),
    )


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"

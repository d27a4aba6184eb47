"""``tlkit finetune``."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

import click

from tlkit.cli.app import SOME_SKIPPED
from tlkit.cli.options import GroupedOption, complete_folder, config_option, format_option, job_command, typed_flags
from tlkit.cli.output import echo, echo_json
from tlkit.config import FinetuneConfig, ResumeOptions
from tlkit.utils.options import options_of
from tlkit.utils.text import pluralize

if TYPE_CHECKING:
    from tlkit.training.result import FinetuneResult


@job_command(FinetuneConfig, summary="Train a classifier for your own folders of images.", optional=("data",))
@config_option
@click.option(
    "--resume", cls=GroupedOption, metavar="RUN", shell_complete=complete_folder,
    help="Resume an interrupted run after its last completed epoch, with its saved options. Give DATA only if it has "
    "moved; what computes (--threads, --backend, --device, --processes, …) may be other than before.",
)  # fmt: skip
@format_option("text", "json")
@click.pass_context
def finetune(context: click.Context, /, options: dict[str, Any], resume: str | None, output_format: str) -> None:
    """Train a classifier for the images (or recordings) in DATA, in two phases.

    DATA holds one folder per class, of which a share is held out for validation; or the directories train/ and
    validation/ (or val/), and test/ if there is one, each with the class folders. Or it is a table of images and labels
    (CSV, TSV, JSON Lines, Parquet), perhaps with splits, or a zip or tar of either; or tar shards of samples
    ('shard-{000..999}.tar'). The base is a published network without its classifier; frozen, its output is computed
    once per image and cached (`tlkit cache`). Phase 1 trains a head, the new classifier, on it. Phase 2 fine-tunes the
    top of the base and the head together, in small steps (a low learning rate).

    The run directory predicts by itself (`tlkit predict --model RUN`): model.keras, run.json with class names,
    preprocessing, input size, every argument and version, images.json with the digests of the images, history.csv, and
    the page report.html.

    Interrupted, it resumes: `tlkit finetune --resume RUN`.

    \b
        tlkit finetune data/
        tlkit finetune data/ --arch inceptionv3 --freeze mixed8 -o flowers
        tlkit finetune data/ --augment light --augment-copies 5 --patience 3
        tlkit finetune data/ --recipe strong --arch resnet50
    """
    from tlkit import api

    if resume is not None:
        allowed = {item.flag: item.name for item in options_of(ResumeOptions)}
        others = {*allowed, "--data", "--resume", "--format"}
        typed = [flag for flag in typed_flags(context) if flag not in others]
        if typed:
            raise click.UsageError(
                f"--resume uses the saved options of the run; leave out {', '.join(typed)}.", ctx=context
            )
        chosen = {name: options[name] for name in allowed.values() if name in options}
        result = api.resume(resume, data=options.get("data"), **chosen)
    elif "data" not in options:
        raise click.UsageError("Missing argument 'DATA'.", ctx=context)
    else:
        result = api.finetune(**options)
    if result is None:  # process 0 has the run, and tells
        return
    if output_format == "json":
        echo_json(result.to_dict())
    else:
        _echo_text(result)
    if result.skipped:
        context.exit(SOME_SKIPPED)


def _echo_text(result: FinetuneResult) -> None:
    from tlkit.reporting.metrics import format_accuracy
    from tlkit.reporting.multi_label import MultiLabelEvaluation

    for fold in result.cross_validation.folds if result.cross_validation else ():
        accuracy = format_accuracy(fold.val_accuracy, fold.interval)
        echo(f"{fold.run.name:<10} validation accuracy {accuracy} of {len(fold.files):,}")
    for phase, summary in zip(result.phases, result.phase_summaries, strict=True):
        echo(
            f"{phase.name:<10} {pluralize(len(phase.epochs), 'epoch'):>9}  {phase.seconds:6.1f} s  "
            f"validation accuracy {format_accuracy(summary['val_accuracy'], summary['interval'])}"
            f"{f' (epoch {phase.best})' if phase.best else ''}"
        )
    if result.outcome.line:
        echo(result.outcome.line)
    if result.cross_validation:
        found = result.evaluations["validation"]
        echo(
            f"In {len(result.cross_validation.folds)} folds: accuracy {format_accuracy(found.accuracy, found.interval)}"
            f" of {len(found.labels):,}; the run itself was trained on all of them."
        )
    if result.chosen_on_validation:
        what = "folds were" if result.cross_validation else "validation split was"
        echo(f"The {what} also used to choose the epoch: on new data expect less.")
    for split, evaluation in result.evaluations.items():
        if isinstance(evaluation, MultiLabelEvaluation):
            ranking = f"mean average precision {evaluation.ranking}"
            echo(f"{split.capitalize()}: {ranking}; accuracy counts images whose labels are all right.")
    if result.skipped:
        echo(f"{pluralize(len(result.skipped), 'file')} skipped; run.json names all.")
    run = shlex.quote(str(result.run))
    echo(f"Run: {run}")
    if (result.run / "report.html").exists():
        echo(f"Report: {run}/report.html")
    echo(f"Predict: tlkit predict --model {run} IMAGES...")
    if result.suggestion:
        echo(result.suggestion)
    if "test" in result.evaluations:
        tested = result.evaluations["test"]
        echo(f"Test accuracy {format_accuracy(tested.accuracy, tested.interval)} of {len(tested.labels):,}")

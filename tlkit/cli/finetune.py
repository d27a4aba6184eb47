"""``tlkit finetune``."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from tlkit.cli.app import SOME_SKIPPED
from tlkit.cli.options import (
    batch_size_option,
    build_options,
    config_option,
    engine_options,
    format_option,
    load_options,
    prefer_flag,
    resize_option,
    seed_option,
    size_option,
    weights_option,
)
from tlkit.cli.output import echo, echo_json
from tlkit.cli.training_options import cut_options, data_options, head_options, phase_options
from tlkit.config import DEFAULT_ARCHITECTURE, FinetuneConfig
from tlkit.utils.text import pluralize

if TYPE_CHECKING:
    from tlkit.training.plan import FinetuneResult


@click.command()
@click.argument("data", metavar="DATA", required=False)
@click.option("--arch", metavar="NAME", default=DEFAULT_ARCHITECTURE, show_default=True, help="The base network.")
@weights_option()
@load_options
@size_option
@build_options(classes=False)
@resize_option()
@head_options
@cut_options
@phase_options
@data_options
@batch_size_option
@click.option(
    "--features",
    metavar="DIR",
    help="Take features that `tlkit bottleneck DATA -o DIR` computed.  [default: tlkit keeps its own]",
)
@click.option("--cache-limit", metavar="SIZE",
              help="What rows of the frozen part may take on disk (500MB, 20GB); else the frozen part runs in each "
              "epoch.  [default: half of the free disk, at most TLKIT_CACHE_LIMIT]")  # fmt: skip
@engine_options
@seed_option
@config_option
@click.option("-o", "--output", metavar="RUN", help="Run folder to make.  [default: runs/ARCH-N, the next free N]")
@click.option("--resume", metavar="RUN", help="Go on with a run that was broken off, after its last whole epoch; it "
              "brings its options, and its DATA unless that moved.")  # fmt: skip
@format_option("text", "json")
@click.pass_context
def finetune(
    context: click.Context, /, data: str | None, resume: str | None, output_format: str, **options: Any
) -> None:
    """Train a classifier for the pictures (or clips) in DATA, in two phases.

    DATA holds train/ and validation/ (or val/), and test/ where there is one, of one folder a class; or class
    folders alone, of which a share is held out. What the frozen part of the base says of each picture is computed
    once and kept (`tlkit cache`). Phase 1 trains a new head on that. Phase 2 retrains the top of the base and the
    head together, slowly.

    The run folder predicts by itself (tlkit predict --model RUN): model.keras, run.json with class names,
    preprocessing, size, every argument and version, history.csv, and report.html to look at. JSON has `run`,
    `classes`, `val_accuracy`, `phases`, what each class came to and what was skipped.

    Interrupted, it goes on: tlkit finetune --resume RUN.

    \b
        tlkit finetune data/
        tlkit finetune data/ --arch inceptionv3 --freeze mixed8 -o flowers
        tlkit finetune data/ --augment light --augment-copies 5 --patience 3
        tlkit finetune data/ --config configs/thorough.yaml --epochs 20
    """
    from tlkit.commands import finetune as recipe

    if resume is not None:
        _refuse_options(context, "data", "resume", "output_format")
        result = recipe.resume(resume, data)
    elif data is None:
        raise click.UsageError("Missing argument 'DATA'.", ctx=context)
    else:
        prefer_flag(context, options, "freeze", "unfreeze", "unfreeze_blocks", "stages")
        result = recipe.finetune(FinetuneConfig(data=data, **options))
    if output_format == "json":
        echo_json(_as_json(result))
    else:
        _echo_text(result)
    if result.skipped:
        context.exit(SOME_SKIPPED)


def _refuse_options(context: click.Context, *allowed: str) -> None:
    """Refuse what was typed beside ``--resume``: a run goes on as it was begun."""
    typed = [
        f"--{name.replace('_', '-')}"
        for name in context.params
        if name not in allowed and context.get_parameter_source(name) is ParameterSource.COMMANDLINE
    ]
    typed += ["--config"] if context.default_map else []
    if typed:
        raise click.UsageError(f"--resume goes on as the run was begun; leave {', '.join(typed)} out.", ctx=context)


def _as_json(result: FinetuneResult) -> dict[str, Any]:
    return {
        "run": str(result.run),
        "architecture": result.architecture,
        "classes": list(result.classes),
        "val_accuracy": result.val_accuracy,
        "test_accuracy": result.test_accuracy,
        "phases": [phase.summary() for phase in result.phases],
        **{split: evaluation.summary() for split, evaluation in result.evaluations.items()},
        "freeze": {
            "layers": result.freeze_point.frozen,
            "total": result.freeze_point.total,
            "through": result.freeze_point.last,
            "notes": list(result.freeze_point.notes),
        },
        "trained": list(result.trained),
        "images": result.images,
        "skipped": [{"input": path, "error": reason} for path, reason in result.skipped],
        "warnings": list(result.warnings),
    }


def _echo_text(result: FinetuneResult) -> None:
    for phase in result.phases:
        echo(
            f"{phase.name:<10} {pluralize(len(phase.epochs), 'epoch'):>9}  {phase.seconds:6.1f} s  "
            f"validation accuracy {phase.val_accuracy:.3f}{f' (epoch {phase.best})' if phase.best else ''}"
        )
    if result.test_accuracy is not None:
        echo(f"test accuracy {result.test_accuracy:.3f}")
    if result.skipped:
        echo(f"{pluralize(len(result.skipped), 'file')} skipped, named above.")
    run = str(shlex.quote(str(result.run)))
    preprocessor = f"look at {run}/report.html; " if (result.run / "report.html").exists() else ""
    echo(f"Run: {run}  ({preprocessor}use it: tlkit predict --model {run} IMAGES...)")

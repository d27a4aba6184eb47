"""``tlkit finetune``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from tlkit.cli.boundary import SOME_SKIPPED
from tlkit.cli.options import (
    FiniteRange,
    batch_size_option,
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
from tlkit.cli.render import echo_json
from tlkit.config import DEFAULT_ARCHITECTURE, FinetuneConfig
from tlkit.text import counted, printable

if TYPE_CHECKING:
    from tlkit.recipes.finetune import FinetuneResult


@click.command()
@click.argument("data", metavar="DATA")
@click.option("--arch", metavar="NAME", default=DEFAULT_ARCHITECTURE, show_default=True, help="The base network.")
@weights_option()
@load_options
@size_option
@resize_option()
@click.option("--head", type=click.Choice(["dense", "linear", "flatten"]), default="dense", show_default=True,
              help="dense: average pooling, Dense 1024, softmax. linear: average pooling, softmax. "
              "flatten: Flatten, Dense 256, Dropout 0.5, softmax.")  # fmt: skip
@click.option(
    "--pooling",
    type=click.Choice(["none", "avg", "max"]),
    help="Pooling before the head.  [default: the head's]",
)
@click.option("--freeze", metavar="N|LAYER",
              help="Phase 2 freezes the first N layers of the base, or all through LAYER (`tlkit archs NAME` "
              "lists them).  [default: the architecture's]")  # fmt: skip
@click.option(
    "--unfreeze",
    type=click.IntRange(0),
    metavar="N",
    help="Instead: phase 2 trains the last N layers of the base.",
)
@click.option(
    "--epochs",
    type=click.IntRange(0),
    default=10,
    show_default=True,
    help="Epochs of phase 1, the head alone.",
)
@click.option("--finetune-epochs", type=click.IntRange(0), default=5, show_default=True,
              help="Epochs of phase 2, top of the base and head; 0 leaves it out.")  # fmt: skip
@click.option("--lr", type=FiniteRange(0, min_open=True), default=1e-3, show_default=True,
              help="Learning rate of phase 1, RMSprop.")  # fmt: skip
@click.option("--finetune-lr", type=FiniteRange(0, min_open=True), default=1e-4, show_default=True,
              help="Learning rate of phase 2, SGD.")  # fmt: skip
@click.option("--momentum", type=FiniteRange(0, 1, max_open=True), default=0.9, show_default=True,
              help="Momentum of phase 2.")  # fmt: skip
@click.option("--val-split", type=FiniteRange(0, 1, min_open=True, max_open=True), default=0.2, show_default=True,
              help="Share of each class held out where DATA has no validation folder.")  # fmt: skip
@batch_size_option
@click.option(
    "--features",
    metavar="DIR",
    help="Take features that `tlkit bottleneck DATA -o DIR` computed.  [default: tlkit keeps its own]",
)
@engine_options
@seed_option
@config_option
@click.option("-o", "--output", metavar="RUN", help="Run folder to make.  [default: runs/ARCH-N, the next free N]")
@format_option("text", "json")
@click.pass_context
def finetune(context: click.Context, arch: str, output_format: str, **options: Any) -> None:
    """Train a classifier for the pictures in DATA, in two phases.

    DATA holds train/ and validation/ (or val/), and test/ where there is one, of one folder a class; or class
    folders alone, of which a share is held out. Phase 1 computes what the frozen base says of each picture once
    and trains a new head on it. Phase 2 retrains the top of the base and the head together, slowly.

    --engine and --precision are for the features of phase 1; phase 2 trains in float32. tlkit keeps features
    (`tlkit cache`), so a second run on the same pictures starts to train at once.

    The run folder predicts by itself (tlkit predict --model RUN): model.keras, run.json with class names,
    preprocessing, size, every argument and version, history.csv and history.png. JSON has `run`, `classes`,
    `val_accuracy`, `phases` and what was skipped.

    \b
        tlkit finetune data/
        tlkit finetune data/ --arch inceptionv3 --freeze mixed8 -o flowers
        tlkit finetune data/ --config configs/quick.yaml --epochs 20
    """
    from tlkit.recipes.finetune import finetune as run

    prefer_flag(context, options, "freeze", "unfreeze")
    result = run(FinetuneConfig(architecture=arch, **options))
    if output_format == "json":
        echo_json(_as_json(result))
    else:
        _echo_text(result)
    if result.skipped:
        context.exit(SOME_SKIPPED)


def _as_json(result: FinetuneResult) -> dict[str, Any]:
    return {
        "run": str(result.run),
        "architecture": result.architecture,
        "classes": list(result.classes),
        "val_accuracy": result.val_accuracy,
        "test_accuracy": result.test_accuracy,
        "phases": [phase.summary() for phase in result.phases],
        "freeze": {
            "layers": result.boundary.frozen,
            "total": result.boundary.total,
            "through": result.boundary.last,
            "notes": list(result.boundary.notes),
        },
        "trained": list(result.trained),
        "images": result.images,
        "skipped": [{"input": path, "error": reason} for path, reason in result.skipped],
        "warnings": list(result.warnings),
    }


def _echo_text(result: FinetuneResult) -> None:
    for phase in result.phases:
        click.echo(
            f"{phase.name:<9} {counted(len(phase.epochs), 'epoch'):>9}  {phase.seconds:6.1f} s  "
            f"validation accuracy {phase.val_accuracy:.3f}"
        )
    if result.test_accuracy is not None:
        click.echo(f"test accuracy {result.test_accuracy:.3f}")
    if result.skipped:
        click.echo(f"{counted(len(result.skipped), 'picture')} skipped, named above.")
    run = printable(result.run)
    click.echo(f"Run: {run}  (use it: tlkit predict --model {run} IMAGES...)")

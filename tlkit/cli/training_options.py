"""The options of ``finetune`` that say how to train, by what they speak of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from tlkit.cli.options import FiniteRange
from tlkit.config import OPTIMIZERS, SCHEDULES

Command = TypeVar("Command", bound=Callable[..., Any])


def _all(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Several options as one decorator, in the order that help shows."""

    def add(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def _choice(name: str, values: Sequence[str], default: str, text: str) -> Callable[[Command], Command]:
    return click.option(name, type=click.Choice(values), default=default, show_default=True, help=text)


def _rate(name: str, default: float, text: str) -> Callable[[Command], Command]:
    return click.option(name, type=FiniteRange(0, min_open=True), default=default, show_default=True, help=text)


def _share(name: str, default: float | None, text: str, **bounds: bool) -> Callable[[Command], Command]:
    return click.option(
        name, type=FiniteRange(0, 1, **bounds), default=default, show_default=default is not None, help=text
    )


head_options = _all(
    _choice("--head", ("dense", "linear", "flatten"), "dense",
            "dense: average pooling, Dense 1024, softmax. linear: average pooling, softmax. "
            "flatten: Flatten, Dense 256, Dropout 0.5, softmax."),
    click.option("--pooling", type=click.Choice(["none", "avg", "max"]),
                 help="Pooling before the head.  [default: the head's]"),
    click.option("--head-units", type=click.IntRange(1, 65536), metavar="N",
                 help="Units of the head's hidden layer.  [default: the head's]"),
    _share("--dropout", None, "Dropout before the head's last layer; MobileNet's own classifier has 0.001.  "
           "[default: the head's]", max_open=True),
)  # fmt: skip

cut_options = _all(
    click.option("--freeze", metavar="N|LAYER",
                 help="Phase 2 freezes the first N layers of the base, or all through LAYER (`tlkit archs NAME` "
                 "lists them).  [default: the architecture's]"),
    click.option("--unfreeze", type=click.IntRange(0), metavar="N",
                 help="Instead: phase 2 trains the last N layers of the base."),
    click.option("--unfreeze-blocks", type=click.IntRange(0), metavar="N",
                 help="Instead: phase 2 trains the last N blocks of the base."),
    click.option("--stages", metavar="LAYER,LAYER,...",
                 help="Instead: phase 2 in stages, each frozen through the next of these layers, deeper each time "
                 "(mixed9,mixed8,mixed7), --finetune-epochs each."),
    _share("--stage-decay", 0.5, "What the learning rate is multiplied by from stage to stage.", min_open=True),
    _choice("--batchnorm", ("frozen", "train"), "frozen",
            "BatchNorm of the unfrozen part: as ImageNet left it, or training too (Dropout there is awake then)."),
)  # fmt: skip

phase_options = _all(
    click.option("--epochs", type=click.IntRange(0), default=10, show_default=True,
                 help="Epochs of phase 1, the head alone."),
    click.option("--finetune-epochs", type=click.IntRange(0), default=5, show_default=True,
                 help="Epochs of phase 2, top of the base and head; 0 leaves it out."),
    _choice("--optimizer", OPTIMIZERS, "rmsprop", "Optimizer of phase 1."),
    _choice("--finetune-optimizer", OPTIMIZERS, "sgd", "Optimizer of phase 2."),
    _rate("--lr", 1e-3, "Learning rate of phase 1."),
    _rate("--finetune-lr", 1e-4, "Learning rate of phase 2."),
    _choice("--schedule", SCHEDULES, "constant", "Learning rate in the course of phase 1; the others fall to 0."),
    _choice("--finetune-schedule", SCHEDULES, "constant", "The same, of phase 2."),
    _share("--momentum", 0.9, "Momentum of SGD.", max_open=True),
    click.option("--patience", type=click.IntRange(1), metavar="N",
                 help="End a phase after N epochs without a better one, and keep its best (validation accuracy, "
                 "then loss).  [default: all epochs; the last is kept]"),
    _choice("--class-weight", ("none", "auto"), "none",
            "auto: every class counts the same in training, however many pictures it has."),
    _share("--label-smoothing", 0.0, "Share of each label that is spread over all classes.", max_open=True),
)  # fmt: skip

data_options = _all(
    _choice("--augment", ("none", "light", "recipe2017", "randaugment"), "none",
            "Change training pictures at random. light: flips, small shifts and zooms. recipe2017: rotation 30 "
            "degrees, shifts, shear and zoom 0.2, flips. randaugment: RandAugment."),
    click.option("--augment-copies", type=click.IntRange(1, 1000), metavar="K",
                 help="Keep what the frozen part says of K changed copies of each picture, and take one each epoch.  "
                 "[default: change anew each epoch, which runs the frozen part each epoch]"),
    _share("--val-split", 0.2, "Share of each class held out where DATA has no validation folder.",
           min_open=True, max_open=True),
)  # fmt: skip

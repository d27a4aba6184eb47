"""Options that several commands share, each written once."""

from __future__ import annotations

import dataclasses
import functools
import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from tlkit.config import BuildOptions, LoadOptions, Size

Command = TypeVar("Command", bound=Callable[..., Any])


class SizeType(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.2
    """``224`` or ``150x200`` (height first) as ``(height, width)``."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Size:
        """Read a size; values that are pairs already stay as they are."""
        if isinstance(value, tuple):
            return value
        match = re.fullmatch(r"(\d{1,5})(?:x(\d{1,5}))?", str(value).strip().lower())
        if not match or "0" in match.groups():
            self.fail(f"{value!r} is not a size: give N or HxW, in pixels.", param, ctx)
        height = int(match[1])
        return height, int(match[2] or height)


class FiniteRange(click.FloatRange):
    """A range of numbers; ``nan`` and ``inf`` are none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read a number."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a number.", param, ctx)
        return number


def read_config(context: click.Context, param: click.Parameter, path: Path | None) -> None:
    """Make the options of a YAML file the defaults of this call, so that a flag wins over the file."""
    if path is None:
        return
    from tlkit.config_file import read_options

    options = {
        max(option.opts, key=len).removeprefix("--"): option
        for option in context.command.params
        if isinstance(option, click.Option) and option is not param
    }
    defaults = {}
    for name, value in read_options(path, options).items():
        option = options[name]
        whole = isinstance(option.type, click.types.IntParamType)
        if (isinstance(value, bool) and not option.is_flag) or (whole and isinstance(value, float)):
            kind = "a whole number" if whole else "a number" if isinstance(option.type, click.FloatRange) else "text"
            raise click.BadParameter(
                f"{path}: {name} takes {kind}, and YAML reads what stands there as {value!r}.", ctx=context, param=param
            )
        defaults[option.name] = value
    context.default_map = {**(context.default_map or {}), **defaults}


def prefer_flag(context: click.Context, values: dict[str, Any], *exclusive: str) -> None:
    """Of options that exclude each other, forget those that only the file gives when another was typed."""
    typed = {name for name in exclusive if context.get_parameter_source(name) is ParameterSource.COMMANDLINE}
    for name in exclusive:
        if typed and name not in typed:
            values[name] = None


def config_option(command: Command) -> Command:
    """``--config FILE``."""
    return click.option(
        "--config",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        is_eager=True,
        expose_value=False,
        callback=read_config,
        help="YAML file with any of these options, one `name: value` a line. A flag wins over the file.",
    )(command)


def format_option(*formats: str) -> Callable[[Command], Command]:
    """``--format``; the first is the default."""
    return click.option(
        "--format", "output_format", type=click.Choice(formats), default=formats[0], show_default=True,
        help="How to print the result.",
    )  # fmt: skip


def weights_option(*, of_run: bool = False) -> Callable[[Command], Command]:
    """``--weights``; with ``of_run`` it stays None unless given, because a run brings its own."""
    return _defaulting(
        "--weights", "imagenet", of_run, metavar="imagenet|none|PATH",
        help="The published ImageNet weights, random ones, or those of a file.",
    )  # fmt: skip


def _collected(command: Command, parameter: str, group: type, options: Sequence[Callable[..., Any]]) -> Command:
    """Add options whose values the command receives as one dataclass."""

    @functools.wraps(command)
    def collect(*args: Any, **values: Any) -> Any:
        names = [field.name for field in dataclasses.fields(group)]
        given = {name: values.pop(name) for name in names if name in values}
        return command(*args, **{parameter: group(**given)}, **values)

    for option in options:
        collect = option(collect)
    return collect  # type: ignore[return-value]


def load_options(command: Command) -> Command:
    """How to load a weights file where it leaves that open; the command receives them as ``load``."""
    return _collected(command, "load", LoadOptions, (
        click.option("--flip-kernels/--no-flip-kernels", default=None,
                     help="The file's kernels are Theano's, turned by 180 degrees.  [default: as the file says]"),
        click.option("--layout", type=click.Choice(["tf", "th"]),
                     help="The file was trained with channels last (tf) or first (th).  [default: as the file says]"),
        click.option("--skip-mismatch", is_flag=True, help="Leave out layers that do not fit, and list them."),
        click.option("--by-name", is_flag=True, help="Match layers of the weights file by name instead of by order."),
    ))  # fmt: skip


def build_options(*, classes: bool = True, runs: bool = True) -> Callable[[Command], Command]:
    """Arguments of an architecture's constructor; the command receives them as ``build``.

    Args:
        classes: With ``--classes``; a command that trains a classifier of its own needs none.
        runs: With ``--data-format``; weights files are the same in both layouts.
    """
    options = [
        click.option("--depth-multiplier", type=click.IntRange(1, 64), metavar="N",
                     help="Depthwise filters a channel of a MobileNet.  [default: 1]"),
        click.option("--alpha", type=FiniteRange(0, 10, min_open=True), metavar="A",
                     help="Width of a MobileNet V1, V2 or V3: its numbers of filters times A.  [default: 1]"),
    ]  # fmt: skip
    if runs:
        options.insert(0, click.option(
            "--data-format", type=click.Choice(["channels_last", "channels_first"]),
            help="The layout that the network is built and run in.  [default: keras.json's, else channels_last]",
        ))  # fmt: skip
    if classes:
        options.insert(0, click.option(
            "--classes", type=click.IntRange(1, 1_000_000), metavar="N",
            help="Length of the classifier's output, with --weights none or a file of yours.  [default: as published]",
        ))  # fmt: skip
    return lambda command: _collected(command, "build", BuildOptions, options)


def resize_option(*, of_run: bool = False) -> Callable[[Command], Command]:
    """``--resize``; with ``of_run`` it stays None unless given, because a run brings its own."""
    usual = "squash, or the run's" if of_run else "squash"  # unset otherwise: it says nothing of clips
    return click.option(
        "--resize", type=click.Choice(["squash", "crop"]),
        help=f"squash: the whole picture, whatever its proportions. crop: the middle 87.5%.  [default: {usual}]",
    )  # fmt: skip


def _defaulting(name: str, default: str, of_run: bool, *, help: str, **kind: Any) -> Callable[[Command], Command]:
    if of_run:
        return click.option(name, help=f"{help}  [default: {default}, or the run's]", **kind)
    return click.option(name, default=default, show_default=True, help=help, **kind)


def size_option(command: Command) -> Command:
    """``--size``."""
    return click.option(
        "--size", type=SizeType(), metavar="N|HxW", help="Input size in pixels.  [default: the architecture's]"
    )(command)


def engine_options(command: Command) -> Command:
    """``--engine`` and ``--precision``."""
    for option in (
        click.option("--precision", type=click.Choice(["float32", "bfloat16"]), default="float32", show_default=True,
                     help="What convolutions compute in; bfloat16 is faster and less exact."),
        click.option("--engine", type=click.Choice(["auto", "keras", "openvino"]), default="auto", show_default=True,
                     help="What runs the network; auto is OpenVINO where it is installed and there is no GPU."),
    ):  # fmt: skip
        command = option(command)
    return command


def layer_options(command: Command) -> Command:
    """``--layer`` and ``--pooling``."""
    for option in (
        click.option("--pooling", type=click.Choice(["avg", "max", "none"]),
                     help="Over height and width of feature maps; none keeps the maps.  [default: avg]"),
        click.option("--layer", metavar="NAME", help="The layer to take.  [default: the last of the base]"),
    ):  # fmt: skip
        command = option(command)
    return command


def batch_size_option(command: Command) -> Command:
    """``--batch-size``."""
    return click.option(
        "--batch-size",
        type=click.IntRange(1, 4096),
        default=32,
        show_default=True,
        help="Files at a time.",
    )(command)


def engine_batch_option(command: Command) -> Command:
    """``--batch-size`` where an engine knows its own."""
    return click.option("--batch-size", type=click.IntRange(1, 4096), help="Files at a time.  [default: the engine's]")(
        command
    )


def seed_option(command: Command) -> Command:
    """``--seed``."""
    return click.option(
        "--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True,
        help="Decides everything that is drawn at random.",
    )(command)  # fmt: skip

"""Options that several commands share, each written once."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from tlkit.config import Size

Command = TypeVar("Command", bound=Callable[..., Any])


class SizeType(click.ParamType):
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


def read_config(context: click.Context, param: click.Parameter, path: Path | None) -> None:
    """Make the options of a YAML file the defaults of this call, so that a flag wins over the file."""
    if path is None:
        return
    from tlkit.config import read_options

    known = {
        option.name
        for option in context.command.params
        if isinstance(option, click.Option) and option.name and option is not param
    }
    context.default_map = {**(context.default_map or {}), **read_options(path, known)}


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


def weights_option(default: str | None = "imagenet") -> Callable[[Command], Command]:
    """``--weights``."""
    return click.option(
        "--weights", metavar="imagenet|none|PATH", default=default, show_default=default is not None,
        help="The published ImageNet weights, random ones, or those of a file.",
    )  # fmt: skip


def size_option(command: Command) -> Command:
    """``--size``."""
    return click.option(
        "--size",
        type=SizeType(),
        metavar="N|HxW",
        help="Input size in pixels.  [default: the architecture's]",
    )(command)


def resize_option(default: str | None = "squash") -> Callable[[Command], Command]:
    """``--resize``."""
    return click.option(
        "--resize", type=click.Choice(["squash", "crop"]), default=default, show_default=default is not None,
        help="squash: the whole picture, whatever its proportions. crop: the middle 87.5%.",
    )  # fmt: skip


def batch_size_option(command: Command) -> Command:
    """``--batch-size``."""
    return click.option(
        "--batch-size",
        type=click.IntRange(1, 4096),
        default=32,
        show_default=True,
        help="Pictures at a time.",
    )(command)


def seed_option(command: Command) -> Command:
    """``--seed``."""
    return click.option(
        "--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True,
        help="Decides everything that is drawn at random.",
    )(command)  # fmt: skip

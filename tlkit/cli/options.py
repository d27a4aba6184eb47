"""Commands and options generated from the fields of a config."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import MISSING
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource
from click.shell_completion import CompletionItem

from tlkit.config import FREEZE_OPTIONS, GROUPS, OUTPUT
from tlkit.errors import ConfigError
from tlkit.utils.options import Option, Options, options_of

Function = TypeVar("Function", bound=Callable[..., Any])

_FILE_VALUES = "tlkit.cli.options.file_values"


class OptionType(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.2
    """Reads a value as far as the command line must; the config checks it."""

    def __init__(self, item: Option) -> None:
        self.item = item
        self.name = item.kind

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read numbers."""
        return self.item.parse(value) if isinstance(value, str) else value

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Choices or architectures that begin with what was typed, or file names."""
        if self.item.name == "arch":
            return complete_architecture(ctx, param, incomplete)
        if self.item.name == "archs":
            return _complete_list(incomplete)
        if self.item.path:
            return [CompletionItem(incomplete, type="file")]
        words = self.item.choices or _words(self.item.metavar)
        return [CompletionItem(word) for word in words if word.startswith(incomplete)]


def _words(metavar: str | None) -> list[str]:
    """Return the words among the alternatives of a placeholder: ``auto|cpu|gpu[:N]``, ``local|ADDRESS``."""
    alternatives = (part.partition("[")[0] for part in (metavar or "").split("|"))
    return [word for word in alternatives if re.fullmatch("[a-z]+", word)]


def complete_architecture(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the names of architectures that begin with what was typed."""
    from tlkit.architectures.registry.lookup import matching_architectures

    return [CompletionItem(name) for name in matching_architectures(incomplete)]


def complete_architecture_or_file(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return names of architectures; file names where none begins with what was typed."""
    return complete_architecture(ctx, param, incomplete) or [CompletionItem(incomplete, type="file")]


def complete_folder(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Leave it to the shell, which knows the folders."""
    return [CompletionItem(incomplete, type="dir")]


def _complete_list(incomplete: str) -> list[CompletionItem]:
    """Complete the last of several architectures, ``vgg16,resn``, by one that is not among them."""
    from tlkit.architectures.registry.lookup import matching_architectures

    before, comma, last = incomplete.rpartition(",")
    return [
        CompletionItem(f"{before}{comma}{name}")
        for name in matching_architectures(last)
        if name not in before.split(",")
    ]


class GroupedOption(click.Option):
    """An option with a heading of ``--help``."""

    def __init__(self, *args: Any, group: str = OUTPUT, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.group = group


class JobCommand(click.Command):
    """A command whose options are the fields of a config; the function receives those that were given.

    Args:
        config: The config.
        optional: Arguments that may be left out.
    """

    def __init__(self, *args: Any, config: type[Options], optional: Collection[str] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.config = config
        items = options_of(config)
        last = [item.name for item in items if item.argument][-1:]
        own = [_parameter(item, required=item.name not in optional, last=item.name in last) for item in items]
        self.params = [*own, *self.params]

    def invoke(self, ctx: click.Context) -> Any:
        """Call the function with ``options``: what was typed, and what the file of ``--config`` adds."""
        typed = {}
        for item in options_of(self.config):
            value = ctx.params.pop(item.name, None)
            given = ctx.get_parameter_source(item.name) is ParameterSource.COMMANDLINE
            if given and value is not None:
                typed[item.name] = value
        options = {**ctx.meta.get(_FILE_VALUES, {}), **typed}
        if typed.keys() & {*FREEZE_OPTIONS}:  # one that was typed wins over its opposite in the file
            options = {name: value for name, value in options.items() if name not in FREEZE_OPTIONS or name in typed}
        ctx.params["options"] = options
        return super().invoke(ctx)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options under their headings."""
        groups: dict[str, list[tuple[str, str]]] = {name: [] for name in (*GROUPS, "Other")}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None and not isinstance(param, click.Argument):
                groups[getattr(param, "group", "Other")].append(record)
        for name, records in groups.items():
            if records:
                with formatter.section(name):
                    formatter.write_dl(records)


def typed_flags(context: click.Context) -> list[str]:
    """Return the options, and arguments, that were typed: ``--batch-size``."""
    sources = {param: context.get_parameter_source(str(param.name)) for param in context.command.params}
    return [
        max((f"--{opt.lstrip('-')}" for opt in param.opts), key=len)
        for param, source in sources.items()
        if source is ParameterSource.COMMANDLINE
    ]


def _parameter(item: Option, *, required: bool, last: bool) -> click.Parameter:
    kind = OptionType(item)
    if item.argument:
        metavar = item.metavar if required else f"[{item.metavar}]"
        nargs = -1 if item.kind == "paths" else 1
        if required or last:
            return click.Argument([item.name], metavar=metavar, type=kind, nargs=nargs, required=required)
        # what click would fill before the argument that follows, unless there may be any number of it
        return click.Argument([item.name], metavar=metavar, type=kind, nargs=-1, required=False, callback=_at_most_one)
    names = [item.name, item.flag, *([item.short] if item.short else [])]
    common = {"group": item.group, "help": _help(item)}
    if item.kind == "bool":
        if item.optional:
            names[1] = f"{item.flag}/--no-{item.flag[2:]}"
        return GroupedOption(names, is_flag=True, default=None, **common)
    metavar = item.metavar or (f"[{'|'.join(item.choices)}]" if item.choices else None)
    bare: dict[str, Any] = {} if item.bare is None else {"is_flag": False, "flag_value": item.bare}
    return GroupedOption(names, type=kind, default=None, metavar=metavar, **bare, **common)


def _at_most_one(context: click.Context, param: click.Parameter, values: tuple[Any, ...]) -> Any:
    if len(values) > 1:
        raise click.UsageError(f"Got unexpected extra argument ({values[1]})", ctx=context)
    return values[0] if values else None


def _help(item: Option) -> str:
    default = item.unset if item.default is None else item.default
    shown = (default not in (None, MISSING) and item.kind != "bool") or (item.kind == "bool" and item.optional)
    return f"{item.help}  [default: {default}]" if shown else item.help


def job_command(
    config: type[Options], name: str | None = None, *, summary: str, optional: Collection[str] = ()
) -> Callable[[Function], JobCommand]:
    """Make a command of a function that takes ``options``, a dict, and what other decorators add.

    Args:
        config: Whose fields are the options.
        name: Of the command; the function's unless given.
        summary: Its line in ``tlkit --help``.
        optional: Arguments that may be left out.
    """
    return click.command(name, cls=JobCommand, config=config, optional=optional, short_help=summary)


def read_config(context: click.Context, param: click.Parameter, path: Path | None) -> None:
    """Read a YAML file of options; a flag wins over the file."""
    if path is None or context.resilient_parsing:
        return
    from tlkit.config_file import read_options

    command = context.command
    assert isinstance(command, JobCommand)
    items = {item.flag[2:]: item for item in options_of(command.config) if not item.argument}
    others = {
        max(option.opts, key=len).removeprefix("--"): option.name
        for option in command.params
        if isinstance(option, click.Option) and option is not param
    }
    values: dict[str, Any] = {}
    defaults: dict[str, Any] = {}
    for name, value in read_options(path, {*items, *others}).items():
        if name in items:
            if items[name].kind in ("int", "float", "size") and re.match(r"[-+]?0\d", value):
                raise ConfigError(
                    f"{path}: {name} is {value}, which YAML may read as an octal number.",
                    hint=f"Write {value.lstrip('0') or '0'}.",
                )
            try:
                values[items[name].name] = items[name].check(items[name].parse(value))
            except ConfigError as error:
                raise ConfigError(f"{path}: {error.message}", hint=error.hint) from None
        else:
            defaults[str(others[name])] = value
    context.meta[_FILE_VALUES] = values
    context.default_map = {**(context.default_map or {}), **defaults}


config_option: Callable[[Function], Function] = click.option(
    "--config",
    cls=GroupedOption,
    group="Other",
    type=click.Path(path_type=Path),
    metavar="FILE",
    is_eager=True,
    expose_value=False,
    callback=read_config,
    help="YAML file with any of these options, one `name: value` a line. A flag wins over the file.",
)


def format_option(*formats: str) -> Callable[[Function], Function]:
    """Add ``--format``; the first is the default."""
    return click.option(
        "--format", "output_format", cls=GroupedOption, type=click.Choice(formats), default=formats[0],
        show_default=True, help="Format of the result on stdout.",
    )  # fmt: skip

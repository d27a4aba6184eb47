"""The pages of the commands, from Click."""

from __future__ import annotations

import inspect
import re
import textwrap

import click

from generators.markdown import default, definition, fence, paragraph, prose, sections
from tlkit.cli import COMMANDS, main
from tlkit.cli.options import JobCommand, OptionType
from tlkit.config import GROUPS

_DEFAULT = re.compile(r"\s*\[default: (.*)\]$")
_ROOT = click.Context(main, info_name="tlkit", **main.context_settings)


def command(name: str) -> str:
    """Return the usage, help, arguments and options of a command, and of its subcommands; ``tlkit`` is the program."""
    if name == "tlkit":
        return sections(_usage(_ROOT), _help(main), "## Options", *_options(_ROOT))
    context = click.Context(get(name), info_name=name, parent=_ROOT)
    shown, arguments = context.command, _arguments(context.command)
    parts = [_usage(context), _help(shown)]
    if arguments:
        parts += ["## Arguments", *arguments]
    parts += ["## Options", *_options(context)]
    for inner in getattr(shown, "commands", {}).values():
        below = click.Context(inner, info_name=inner.name, parent=context)
        parts += [f"## {below.command_path}", _usage(below), _help(inner), *_options(below)]
    return sections(*parts)


def commands() -> str:
    """Return a definition list of all commands, and the tree of their pages."""
    entries = [f"[`{name}`]({name}.md)\n: {prose(get(name).get_short_help_str(limit=200))}" for name in COMMANDS]
    # the manual page of the program goes without the pages of its commands
    tree = "\n".join(["````{only} not man", "```{toctree}", ":hidden:", "", *COMMANDS, "```", "````"])
    return sections(*entries, tree)


def get(name: str) -> click.Command:
    """Return a command by its name.

    Raises:
        LookupError: There is none.
    """
    if name not in COMMANDS:
        raise LookupError(f"there is no command {name!r}")
    found = main.get_command(_ROOT, name)
    assert found is not None
    return found


def _usage(context: click.Context) -> str:
    return fence("text", " ".join([context.command_path, *context.command.collect_usage_pieces(context)]))


def _help(shown: click.Command) -> str:
    """Return the help text; a paragraph that Click leaves as it is holds commands."""
    parts = []
    for part in inspect.cleandoc(shown.help or "").split("\n\n"):
        if part.startswith("\b"):
            parts.append(fence("sh", textwrap.dedent(part.removeprefix("\b\n"))))
        else:
            parts.append(paragraph(prose(" ".join(part.split()))))
    return sections(*parts)


def _arguments(shown: click.Command) -> list[str]:
    return [
        definition(param.make_metavar(_ROOT), prose(param.type.item.help))
        for param in shown.params
        if isinstance(param, click.Argument) and isinstance(param.type, OptionType)
    ]


def _options(context: click.Context) -> list[str]:
    """Return the options, those of a job under their headings."""
    groups: dict[str, list[str]] = {name: [] for name in (*GROUPS, "Other")}
    for param in context.command.get_params(context):
        record = None if isinstance(param, click.Argument) else param.get_help_record(context)
        if record is not None:
            groups[getattr(param, "group", "Other")].append(_option(*record))
    if not isinstance(context.command, JobCommand):
        return [entry for entries in groups.values() for entry in entries]
    return [part for name, entries in groups.items() if entries for part in (f"### {name}", *entries)]


def _option(names: str, text: str) -> str:
    found = _DEFAULT.search(text)
    shown = prose(_DEFAULT.sub("", text))
    return definition(names, f"{shown} Default: {default(found[1])}." if found else shown)

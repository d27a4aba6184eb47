"""``tlkit cache``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource
from click.shell_completion import CompletionItem

from tlkit.cli.options import format_option
from tlkit.cli.output import echo, echo_json, echo_table
from tlkit.errors import ConfigError, TlkitError
from tlkit.utils.options import join_or
from tlkit.utils.text import did_you_mean

if TYPE_CHECKING:
    from tlkit.utils.cache_dir import CacheEntry

_KINDS = ("features", "models", "weights", "archives", "parts")


@click.group(invoke_without_command=True, short_help="List what tlkit has cached, or remove it.")
@format_option("text", "json")
@click.pass_context
def cache(context: click.Context, output_format: str) -> None:
    """List what tlkit has cached: features of finetune, networks converted for OpenVINO, weights, unpacked archives,
    parts of commands on many machines.

    The cache is the folder tlkit in TLKIT_CACHE_DIR, else in the user's cache directory. Features and converted
    networks together stay below TLKIT_CACHE_LIMIT (such as 20GB; default 10GB): the least recently used are removed
    first. Files that tlkit did not write are neither listed nor removed.

    \b
        tlkit cache
        tlkit cache clear
        tlkit cache clear features
    """
    if context.invoked_subcommand is None:
        _list(output_format)
    elif context.get_parameter_source("output_format") is ParameterSource.COMMANDLINE:
        raise click.UsageError(
            f"--format before {context.invoked_subcommand} has no effect; put it behind.", ctx=context
        )


def _list(output_format: str) -> None:
    from tlkit.utils.cache_dir import LIMITED, cache_folder, cache_limit, describe
    from tlkit.utils.text import format_bytes

    folder, limit, cached = cache_folder(), cache_limit(), _entries()
    if output_format == "json":
        rows = [
            {"kind": entry.kind, "path": str(entry.path), "bytes": entry.bytes, "used": entry.used,
             "what": describe(entry)}
            for entry in cached
        ]  # fmt: skip
        echo_json({"folder": str(folder), "limit": limit, "entries": rows})
        return
    limited = sum(entry.bytes for entry in cached if entry.kind in LIMITED)
    echo(f"{folder}: {format_bytes(limited)} of {format_bytes(limit)}, weights and archives not counted")
    if cached:
        echo()
        echo_table(
            ("kind", "size", "last used", "what"),
            [
                (entry.kind, format_bytes(entry.bytes), time.strftime("%Y-%m-%d %H:%M", time.localtime(entry.used)),
                 describe(entry))
                for entry in reversed(cached)
            ],
            right=(1,),
        )  # fmt: skip


def _entries() -> list[CacheEntry]:
    from tlkit.commands.weights import known_files
    from tlkit.utils.cache_dir import cache_folder, entries

    try:
        return entries(known_files())
    except OSError as error:
        raise TlkitError(f"Cannot read the cache {error.filename or cache_folder()}: {error.strerror}.") from error


def _complete_kind(context: click.Context, param: click.Parameter, incomplete: str) -> list[str | CompletionItem]:
    return [kind for kind in _KINDS if kind.startswith(incomplete)]


@cache.command(short_help="Remove cached features, models, archives or weights.")
@click.argument("kinds", metavar="[KIND]...", nargs=-1, shell_complete=_complete_kind)
@format_option("text", "json")
def clear(kinds: tuple[str, ...], output_format: str) -> None:
    """Remove cached features, models and archives, or the KINDs that are named (also weights and parts).

    What another process is using is not removed, and what tlkit did not write neither. Weights and parts are removed
    only if named. Without KINDs, digests of files are forgotten too. Exit code 1 if something must not be removed.
    """
    from tlkit.utils.cache_dir import CLEARED, remove
    from tlkit.utils.findings import forget
    from tlkit.utils.known_digests import forget_digests
    from tlkit.utils.text import format_bytes

    for kind in kinds:
        if kind not in _KINDS:
            raise ConfigError(f"KIND is {kind!r}; expected {join_or(_KINDS)}.", hint=did_you_mean(kind, _KINDS))
    cached = [entry for entry in _entries() if entry.kind in (kinds or CLEARED)]
    if not kinds:
        forget()
        forget_digests()
    removed, failed = [], []
    for entry in cached:
        try:
            removed += [entry] if remove(entry) else []
        except OSError as error:
            failed.append(f"{entry.path}: {error.strerror or error}")
    total = sum(entry.bytes for entry in removed)
    if output_format == "json":
        echo_json({"removed": len(removed), "bytes": total})
    else:
        echo(f"Removed {len(removed)} of {len(cached)}, {format_bytes(total)}.")
    if failed:
        more = f", and {len(failed) - 1:,} more" if failed[1:] else ""
        raise TlkitError(f"Cannot remove {failed[0]}{more}.", hint="Run it as the user who owns these files.")

"""``tlkit cache``."""

from __future__ import annotations

import time

import click

from tlkit.cli.options import format_option
from tlkit.cli.output import echo, echo_json, echo_table


@click.group(invoke_without_command=True)
@format_option("text", "json")
@click.pass_context
def cache(context: click.Context, output_format: str) -> None:
    """List what tlkit keeps, or remove it: features of finetune, networks converted for OpenVINO, weights.

    It is kept in the folder TLKIT_CACHE_DIR, else in the user's cache folder. Features and converted networks together
    stay below TLKIT_CACHE_LIMIT (such as 20GB; 10 GB unless it is set): what was not used for longest goes first.
    JSON has `folder`, `limit`, and `entries`, each with `kind`, `path`, `bytes`, `used` (seconds since 1970), `what`.

    \b
        tlkit cache
        tlkit cache clear
        tlkit cache clear features
    """
    if context.invoked_subcommand is None:
        _list(output_format)


def _list(output_format: str) -> None:
    from tlkit.utils.cache_dir import cache_folder, cache_limit, describe, entries
    from tlkit.utils.text import format_bytes

    folder, limit, found = cache_folder(), cache_limit(), entries()
    if output_format == "json":
        rows = [
            {"kind": entry.kind, "path": str(entry.path), "bytes": entry.bytes, "used": entry.used,
             "what": describe(entry)}
            for entry in found
        ]  # fmt: skip
        echo_json({"folder": str(folder), "limit": limit, "entries": rows})
        return
    limited = sum(entry.bytes for entry in found if entry.kind != "weights")
    echo(f"{folder}: {format_bytes(limited)} of {format_bytes(limit)}, weights not counted")
    if found:
        echo()
        echo_table(
            ("kind", "size", "last used", "what"),
            [
                (entry.kind, format_bytes(entry.bytes), time.strftime("%Y-%m-%d %H:%M", time.localtime(entry.used)),
                 describe(entry))
                for entry in reversed(found)
            ],
            right=(1,),
        )  # fmt: skip


@cache.command()
@click.argument("kinds", metavar="[KIND]...", nargs=-1, type=click.Choice(["features", "models", "weights"]))
@format_option("text", "json")
def clear(kinds: tuple[str, ...], output_format: str) -> None:
    """Remove what is kept: features and models, or the KINDs that are named (features, models, weights).

    What another tlkit uses right now stays. Weights go only when they are named. JSON has `removed` and `bytes`.
    """
    from tlkit.utils.cache_dir import LIMITED, entries, remove
    from tlkit.utils.text import format_bytes

    known = [entry for entry in entries() if entry.kind in (kinds or LIMITED)]
    gone = [entry for entry in known if remove(entry)]
    total = sum(entry.bytes for entry in gone)
    if output_format == "json":
        echo_json({"removed": len(gone), "bytes": total})
    else:
        echo(f"Removed {len(gone)} of {len(known)}, {format_bytes(total)}.")

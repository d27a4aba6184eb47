"""What a command prints that computed one part of its images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tlkit.cli.app import SOME_SKIPPED
from tlkit.cli.output import echo, echo_json
from tlkit.utils.text import pluralize

if TYPE_CHECKING:
    from tlkit.distributed.shares import PartResult


def end_with_part(context: click.Context, result: PartResult, *, as_json: bool) -> None:
    """Print which part was computed, and end the command."""
    if as_json:
        echo_json(result.to_dict())
    else:
        files = pluralize(result.images, "file")
        echo(f"Part {result.part}: {files}, {result.computed:,} computed now, in {result.folder}")
    context.exit(SOME_SKIPPED if result.skipped else 0)

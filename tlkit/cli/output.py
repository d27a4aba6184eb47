"""Print results: lines, aligned tables, one JSON document, CSV.

Names of files, classes and tensors may hold anything. Control characters in them are escaped here, at the edge, and
nowhere else.
"""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

import click

from tlkit.utils.text import csv_line, escape_control_chars


def echo(line: str = "", *, err: bool = False) -> None:
    """Print one line; control characters and passwords in it are escaped."""
    click.echo(escape_control_chars(line), err=err)


def wrapped(line: str) -> str:
    """Return a line for stderr, broken between words where it is a terminal; a file or pipe gets it whole."""
    if not sys.stderr.isatty():
        return line
    width = shutil.get_terminal_size().columns
    return textwrap.fill(line, width, break_long_words=False, break_on_hyphens=False) if len(line) > width else line


def echo_json(document: Any) -> None:
    """Print one JSON document; names with undecodable bytes stay valid JSON."""
    click.echo(json.dumps(document, indent=2, allow_nan=False))


def echo_csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print a CSV table; see :func:`tlkit.utils.text.csv_line`."""
    click.echo("".join(map(csv_line, (header, *rows))), nl=False)


def echo_table(header: Sequence[str], rows: Iterable[Sequence[str]], *, right: Iterable[int] = ()) -> None:
    """Print columns aligned with spaces; those in ``right`` are right-aligned."""
    table = [list(header), *([escape_control_chars(cell) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(header))]
    flush_right = set(right)
    for row in table:
        cells = [
            cell.rjust(width) if column in flush_right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        click.echo("  ".join(cells).rstrip())

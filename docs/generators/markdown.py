"""Markdown as pages of the documentation have it."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Sequence

WIDTH = 120
_CODE = re.compile(r"(`[^`]*`)")
_FLAG = re.compile(r"(?<![\w-])(--[a-z][a-z-]*(?: [A-Z][A-Z/|]*\b)?)")


def prose(text: str) -> str:
    """Return a text of the program as Markdown: options become code, and nothing else is markup."""
    parts = _CODE.split(text)
    for place in range(0, len(parts), 2):
        parts[place] = _FLAG.sub(r"`\1`", re.sub(r"([*<\\])", r"\\\1", parts[place]))
    return "".join(parts)


def default(value: str) -> str:
    """Return what is so without an option: a value as code, words as they are."""
    return prose(value) if " " in value else f"`{value}`"


def paragraph(text: str, indent: str = "") -> str:
    """Return a paragraph in lines of the width of a page; ``indent`` stands before all but the first."""
    return textwrap.fill(text, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def definition(term: str, *texts: str, kind: str = "") -> str:
    """Return an entry of a definition list; ``kind`` is what the term is."""
    first = f"`{term}` ({kind})" if kind else f"`{term}`"
    return "\n".join([first, *(paragraph(f": {text}", "  ") for text in texts)])


def table(header: Sequence[str], rows: Iterable[Sequence[str]], right: Iterable[int] = ()) -> str:
    """Return a table; columns in ``right`` are right-aligned."""
    flush_right = set(right)
    rule = ["---:" if column in flush_right else "---" for column in range(len(header))]
    lines = [header, rule, *([_cell(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", r"\|")


def fence(language: str, text: str) -> str:
    """Return a block of code."""
    return f"```{language}\n{text.strip()}\n```"


def sections(*parts: str) -> str:
    """Join parts of a page, without those that are empty."""
    return "\n\n".join(part for part in parts if part)

"""Find a row of the table by the name a person types."""

from __future__ import annotations

from tlkit.architectures.architecture import Architecture
from tlkit.architectures.rows import ROWS
from tlkit.errors import UsageError
from tlkit.text import did_you_mean, printable

_TABLE = {row.name: row for row in ROWS}


def all_architectures() -> tuple[Architecture, ...]:
    """Every architecture, family by family."""
    return ROWS


def get_architecture(name: str) -> Architecture:
    """The row called ``name``; case, ``-``, ``_`` and spaces do not matter.

    Raises:
        UsageError: No such architecture; the hint has the closest names.
    """
    row = _TABLE.get(name.lower().translate({ord(char): None for char in "-_ "}))
    if row is None:
        raise UsageError(
            f"There is no architecture called {printable(name)!r}.",
            hint=did_you_mean(name.lower(), _TABLE) or "`tlkit archs` lists them all.",
        )
    return row

"""Find a row of the table by the name a person types."""

from __future__ import annotations

from tlkit.architectures.architecture import Architecture
from tlkit.architectures.registry import ROWS
from tlkit.config import BuildOptions
from tlkit.errors import UsageError
from tlkit.utils.text import did_you_mean

_TABLE = {row.name: row for row in ROWS}


def all_architectures() -> tuple[Architecture, ...]:
    """Every architecture, family by family."""
    return ROWS


def get_architecture(name: str, options: BuildOptions | None = None) -> Architecture:
    """The row called ``name``; case, ``-``, ``_`` and spaces do not matter.

    Args:
        name: As a person types it.
        options: Arguments it is to be built with; None for the row as it stands, whatever ``keras.json`` says.

    Raises:
        UsageError: No such architecture; the hint has the closest names. Or it does not take an argument.
        ArchitectureError: It cannot be built channels first.
    """
    row = _TABLE.get(name.lower().translate({ord(char): None for char in "-_ "}))
    if row is None:
        raise UsageError(
            f"There is no architecture called {name!r}.",
            hint=did_you_mean(name.lower(), _TABLE) or "`tlkit archs` lists them all.",
        )
    return row if options is None else row.configured(options)

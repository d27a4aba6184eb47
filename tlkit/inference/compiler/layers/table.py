"""The table of the layers: the modules of this folder have a row for every kind."""

from __future__ import annotations

from tlkit.inference.compiler.row import Table

LAYERS = Table()
"""By class."""

MOST_STEPS = 1000
"""Steps that are written out one by one."""

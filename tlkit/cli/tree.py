"""Draw trees with box-drawing characters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tlkit.keras_files.tree import Tree
from tlkit.utils.text import escape_control_chars

LONGEST_NAME = 32
"""Longer names do not move the details of those beside them."""


def draw(tree: Tree, width: int) -> Iterator[str]:
    """Yield the lines of everything below the root of a tree, none longer than ``width``.

    Branches take at most half of a line: of deeper ones, the start is cut and replaced by ``…``. What does not fit on
    one line continues below it.
    """
    stack = [(tree, "", iter(_aligned(tree.children)))]
    while stack:
        parent, prefix, children = stack[-1]
        found = next(children, None)
        if found is None:
            stack.pop()
            continue
        child, cells = found
        last = child is parent.children[-1]
        below = f"{prefix}{'   ' if last else '│  '}"
        under = f"{below}{'│  ' if child.children else '   '}"
        yield from fit(
            cells, width, first=_cut(f"{prefix}{'└─ ' if last else '├─ '}", width // 2), rest=_cut(under, width // 2)
        )
        stack.append((child, below, iter(_aligned(child.children))))


def fit(cells: Sequence[str], width: int, *, first: str, rest: str) -> Iterator[str]:
    """Yield cells two spaces apart on one line, or on several where they need more than ``width`` columns.

    Args:
        cells: The texts; control characters in them are escaped.
        width: The most columns of a line.
        first: What the first line starts with.
        rest: What the other lines start with.
    """
    line, empty = first, True
    for cell in map(escape_control_chars, cells):
        text = cell if empty else f"  {cell}"
        if not empty and len(line) + len(text.rstrip()) > width:
            yield line.rstrip()
            line, text = rest, cell
        while len(line) + len(text.rstrip()) > width:
            room = max(1, width - len(line))
            yield line + text[:room]
            line, text = rest, text[room:]
        line, empty = line + text, False
    yield line.rstrip()


def _aligned(children: Sequence[Tree]) -> Iterator[tuple[Tree, tuple[str, ...]]]:
    """Yield each child with its name and details; those without children in columns."""
    leaves = [(child.name, *child.details) for child in children if not child.children and child.details]
    columns = max((len(cells) for cells in leaves), default=0)
    widths = [
        max(
            (size for cells in leaves if column < len(cells) and (size := len(cells[column])) <= LONGEST_NAME),
            default=0,
        )
        for column in range(columns)
    ]
    for child in children:
        cells = (child.name, *child.details)
        if not child.children:
            cells = tuple(f"{cell:<{size}}" for cell, size in zip(cells, widths, strict=False)) or cells
        yield child, cells


def _cut(prefix: str, room: int) -> str:
    return prefix if len(prefix) <= room else f"…{prefix[len(prefix) - room + 1 :]}"

"""Pages of thumbnails and tables: what `tlkit check` and `tlkit compare` found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tlkit.data.preprocessor import Preprocessor
from tlkit.reporting.html import write_html

MOST_ROWS, MOST_SHOWN = 60, 12
"""Most rows of a gallery, and most images in a row of several rows."""
MOST_IN_ONE_ROW = 120
"""Most images of a gallery of one row."""


@dataclass(frozen=True)
class Shown:
    """A thumbnail.

    Attributes:
        file: Path of the image.
        name: What it is called.
        note: What is said of it.
    """

    file: str
    name: str
    note: str


@dataclass(frozen=True)
class Gallery:
    """Thumbnails under one heading.

    Attributes:
        title: The heading.
        note: What they are.
        rows: Thumbnails side by side.
    """

    title: str
    note: str
    rows: tuple[tuple[Shown, ...], ...]

    @property
    def number(self) -> int:
        """Number of thumbnails."""
        return sum(map(len, self.rows))

    @property
    def shown(self) -> list[tuple[Shown, ...]]:
        """What fits a page."""
        most = MOST_IN_ONE_ROW if len(self.rows) == 1 else MOST_SHOWN
        return [row[:most] for row in self.rows[:MOST_ROWS]]

    @property
    def left_out(self) -> int:
        """Number of thumbnails that do not fit."""
        return self.number - sum(map(len, self.shown))


@dataclass(frozen=True, kw_only=True)
class GalleryPage:
    """Contents of a page.

    Attributes:
        title: What it reports on.
        preprocessor: It draws the thumbnails.
        highlights: ``(name, value)`` of the most important results, in order.
        warnings: Problems, in sentences.
        plots: ``(heading, PNG, description)``.
        table: Headings of a table; the first names the rows.
        table_title: Heading above the table.
        table_note: What its numbers are.
        rows: Its cells.
        galleries: Thumbnails.
        skipped: ``(path, reason)`` of files that could not be read.
        arguments: Effective value of every option, by its name on the command line.
        versions: Version of each package.
        command: Command line that reproduces the job.
    """

    title: str
    preprocessor: Preprocessor
    highlights: Sequence[tuple[str, str]]
    warnings: Sequence[str] = ()
    plots: Sequence[tuple[str, bytes, str]] = ()
    table: Sequence[str] = ()
    table_title: str = "Classes"
    table_note: str = ""
    rows: Sequence[Sequence[str]] = ()
    galleries: Sequence[Gallery] = ()
    skipped: Sequence[tuple[str, str]] = ()
    arguments: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    command: str = ""

    @property
    def writer(self) -> str:
        """The program and the command that write the page: ``tlkit check``."""
        return " ".join(self.command.split()[:2])


def write_gallery(page: GalleryPage, path: Path) -> None:
    """Write a page atomically.

    Raises:
        TlkitError: It cannot be written.
    """
    write_html(path, "gallery.html.jinja", page.preprocessor, {}, page=page)

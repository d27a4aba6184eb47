"""Report page of a run or an evaluation: one HTML file that needs no network and no script."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tlkit.data.preprocessor import Preprocessor
from tlkit.errors import InputError, TlkitError
from tlkit.reporting.metrics import Evaluation
from tlkit.reporting.plots import draw_calibration, draw_confusion, draw_history
from tlkit.utils.atomic_write import atomic_write
from tlkit.utils.logging import logger
from tlkit.utils.output_file import has_mark
from tlkit.utils.text import escape_control_chars

THUMBNAIL_SIDE = 160
"""Longer side of a thumbnail, in pixels."""
MAX_ERRORS = 24
"""Most errors of a split to show."""


@dataclass(frozen=True)
class Section:
    """Metrics of one split, with their plots.

    Attributes:
        split: Its name.
        evaluation: The metrics.
        files: Paths of the files, in the order of the evaluation.
        confusion: Confusion matrix, PNG.
        calibration: Reliability diagram, PNG.
    """

    split: str
    evaluation: Evaluation
    files: Sequence[str]
    confusion: bytes
    calibration: bytes


def draw_section(split: str, evaluation: Evaluation, files: Sequence[str]) -> Section:
    """Draw the plots of one split."""
    return Section(split, evaluation, files, draw_confusion(evaluation), draw_calibration(evaluation))


@dataclass(frozen=True, kw_only=True)
class Page:
    """Contents of a report page.

    Attributes:
        title: What it reports on.
        preprocessor: Of the model; it also draws the thumbnails.
        highlights: ``(name, value)`` of the most important results, in order.
        sections: Metrics by split.
        history: Epochs of each phase to draw, as for :func:`tlkit.reporting.plots.draw_history`.
        phases: Summary of each phase: ``name``, ``epochs``, ``best_epoch``, ``seconds``, ``val_accuracy``.
        outcome: What fine-tuning changed, in a line; empty where nothing was fine-tuned.
        balance: ``{split: {class: number of files}}``.
        arguments: Effective value of every option, by its name on the command line.
        versions: Version of each package.
        warnings: Problems to know about before trusting the results.
        skipped: ``(path, reason)`` of files that could not be read.
        command: Command line that reproduces the job.
    """

    title: str
    preprocessor: Preprocessor
    highlights: Sequence[tuple[str, str]]
    sections: Sequence[Section]
    history: Sequence[tuple[str, Sequence[Mapping[str, float]]]] = ()
    phases: Sequence[Mapping[str, Any]] = ()
    outcome: str = ""
    balance: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    arguments: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    skipped: Sequence[tuple[str, str]] = ()
    command: str = ""

    @property
    def writer(self) -> str:
        """The program and the command that write the page: ``tlkit evaluate``."""
        return " ".join(self.command.split()[:2]) or "tlkit"


def is_page(path: Path, writer: str) -> bool:
    """Return True if a file is a report page that this command wrote, such as ``tlkit evaluate``."""
    return has_mark(path, f'<meta name="generator" content="{writer}">')


def write_page(page: Page, path: Path) -> None:
    """Write a page atomically.

    Raises:
        TlkitError: It cannot be written.
    """
    text = _render(page)
    try:
        with atomic_write(path) as part:
            part.write_text(text, "utf-8")
    except OSError as error:
        raise TlkitError(f"Cannot write the page {path}: {error.strerror or error}.") from error


def _render(page: Page) -> str:
    import jinja2  # nothing else needs it

    # class and file names are untrusted: everything is escaped
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "fraction": lambda value: "–" if value is None else f"{value:.3f}",
        "number": lambda value: f"{value:,}",
        "percent": lambda value: f"{value:.0%}",
        "printable": escape_control_chars,
        "breakable": _breakable,
        "command": _command,
        "png": lambda data: _inline(data, "png"),
        "history": lambda metrics: _inline(draw_history(page.history, metrics), "png"),
        "thumbnail": lambda file: _thumbnail(page.preprocessor, file),
    }
    return environment.get_template("report.html.jinja").render(
        page=page,
        modality=page.preprocessor.modality,
        max_count=max((count for counts in page.balance.values() for count in counts.values()), default=0) or 1,
        max_errors=MAX_ERRORS,
    )


def _breakable(text: object) -> Any:
    """Escape a path or class name, and let lines break between its words instead of inside them."""
    from markupsafe import Markup, escape  # jinja2's own

    parts = re.split(r"(?<=[/\\=_-])", escape_control_chars(text))
    return Markup("<wbr>").join(escape(part) for part in parts)


def _command(text: str) -> Any:
    """Escape a command line, and keep lines from breaking at the hyphens of its options."""
    from markupsafe import Markup, escape

    return Markup(re.sub(r"(?<![^ ])--?[a-z][a-z-]*", r"<span>\g<0></span>", str(escape(escape_control_chars(text)))))


def _inline(data: bytes, subtype: str) -> str:
    return f"data:image/{subtype};base64,{base64.b64encode(data).decode('ascii')}"


def _thumbnail(preprocessor: Preprocessor, file: str) -> str | None:
    try:
        image = preprocessor.thumbnail(preprocessor.load(file), THUMBNAIL_SIDE)
    except InputError as error:
        logger.debug("No thumbnail of %s: %s.", file, error.message)
        return None
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=80)
    return _inline(buffer.getvalue(), "jpeg")

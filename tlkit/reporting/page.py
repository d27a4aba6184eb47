"""One HTML page of a run or an evaluation, with everything in it: it opens anywhere, without a network."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tlkit.data.preprocessor import Preprocessor
from tlkit.errors import InputError, TlkitError
from tlkit.reporting.metrics import Evaluation
from tlkit.reporting.plots import draw_calibration, draw_confusion
from tlkit.utils.atomic_write import atomic_write
from tlkit.utils.logging import logger
from tlkit.utils.text import escape_control_chars

THUMBNAIL = 160
"""The longer side of a thumbnail, in pixels."""
MISTAKES = 24
"""How many mistakes are shown."""


@dataclass(frozen=True)
class Section:
    """What was measured on one split, and its plots.

    Attributes:
        split: Its name.
        evaluation: The numbers.
        files: Pictures or clips, in the order of the numbers.
        confusion: What was taken for what, PNG.
        calibration: Is it right as often as it says? PNG.
    """

    split: str
    evaluation: Evaluation
    files: Sequence[str]
    confusion: bytes
    calibration: bytes


def draw_section(split: str, evaluation: Evaluation, files: Sequence[str]) -> Section:
    """Draw what was measured on one split."""
    return Section(split, evaluation, files, draw_confusion(evaluation), draw_calibration(evaluation))


@dataclass(frozen=True, kw_only=True)
class Page:
    """What a page says.

    Attributes:
        title: What it is about.
        preprocessor: How the network looks at a file; it also shows one.
        facts: ``(name, value)``: what matters most, in order.
        sections: What was measured.
        curves: The history of the training, PNG.
        phases: What each phase came to, one mapping a row.
        balance: ``{split: {class: files}}``.
        arguments: Every option.
        versions: Of the software.
        warnings: What a person should know.
        skipped: ``(path, reason)`` of files that could not be read.
        command: What makes it again.
    """

    title: str
    preprocessor: Preprocessor
    facts: Sequence[tuple[str, str]]
    sections: Sequence[Section]
    curves: bytes | None = None
    phases: Sequence[Mapping[str, Any]] = ()
    balance: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    arguments: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    skipped: Sequence[tuple[str, str]] = ()
    command: str = ""


def write_page(page: Page, path: Path) -> None:
    """Write a page; the file is whole or absent.

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

    # names of classes and files come from anywhere: everything is escaped
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["share"] = lambda value: "–" if value is None else f"{value:.3f}"
    environment.filters["printable"] = escape_control_chars
    views = [
        {
            "split": section.split,
            "evaluation": section.evaluation,
            "confusion": _inline(section.confusion),
            "calibration": _inline(section.calibration),
            "mistakes": [
                (
                    mistake,
                    section.files[mistake.position],
                    _thumbnail(page.preprocessor, section.files[mistake.position]),
                )
                for mistake in section.evaluation.worst(MISTAKES)
            ],
            "wrong": int((section.evaluation.predicted != section.evaluation.labels).sum()),
        }
        for section in page.sections
    ]
    curves = page.curves and _inline(page.curves)
    most = max((count for counts in page.balance.values() for count in counts.values()), default=1)
    return environment.get_template("report.html.jinja").render(
        page=page, modality=page.preprocessor.modality, views=views, curves=curves, most=most
    )


def _inline(data: bytes, kind: str = "png") -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"


def _thumbnail(preprocessor: Preprocessor, file: str) -> str | None:
    try:
        picture = preprocessor.thumbnail(preprocessor.load(file), THUMBNAIL)
    except InputError as error:
        logger.debug("No thumbnail of %s: %s.", file, error.message)
        return None
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=80)
    return _inline(buffer.getvalue(), "jpeg")

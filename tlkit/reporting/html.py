"""Pages: one HTML file each, that needs no network and no script."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tlkit.data.preprocessor import Preprocessor
from tlkit.errors import InputError, TlkitError, UsageError
from tlkit.utils.atomic_write import atomic_write
from tlkit.utils.logging import logger
from tlkit.utils.output_file import check_output, has_mark
from tlkit.utils.text import escape_control_chars

THUMBNAIL_SIDE = 160
"""Longer side of a thumbnail, in pixels."""


def check_page_path(path: Path, writer: str, *, force: bool) -> None:
    """Check that a page can be written to a path, before any work is done.

    Args:
        path: Of the page.
        writer: The command that writes it: ``tlkit evaluate``.
        force: Replace a file that is no page of this command.

    Raises:
        UsageError: There is no such folder, or something else is there.
    """
    if not path.parent.is_dir():
        raise UsageError(f"There is no folder {path.parent} for the report.", hint="Create it first.")
    check_output(path, lambda page: is_page(page, writer), force=force)


def is_page(path: Path, writer: str) -> bool:
    """Return True if a file is a page that this command wrote, such as ``tlkit evaluate``."""
    return has_mark(path, f'<meta name="generator" content="{writer}">')


def write_html(
    path: Path,
    template: str,
    preprocessor: Preprocessor,
    filters: Mapping[str, Callable[..., Any]],
    **variables: Any,
) -> None:
    """Render a template of this folder and write it atomically.

    Args:
        path: The file.
        template: Name of the template.
        preprocessor: Draws the thumbnails.
        filters: More filters for the template.
        variables: What the template shows.

    Raises:
        TlkitError: It cannot be written.
    """
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
        "thumbnail": lambda file: _thumbnail(preprocessor, file),
        **filters,
    }
    text = environment.get_template(template).render(modality=preprocessor.modality, **variables)
    try:
        with atomic_write(path) as part:
            part.write_text(text, "utf-8")
    except OSError as error:
        raise TlkitError(f"Cannot write the page {path}: {error.strerror or error}.") from error


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

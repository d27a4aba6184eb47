"""Notes, warnings and progress bars of a running command, all on stderr.

Modules log to the ``tlkit`` logger: INFO for a note, WARNING for something the user should act on, DEBUG for
``-v``. The command line decides what is shown; used as a library, tlkit is silent unless logging is set up.
"""

from __future__ import annotations

import functools
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

logger = logging.getLogger("tlkit")
logger.addHandler(logging.NullHandler())


@functools.cache
def warn_once(text: str) -> None:
    """Log a warning, the first time that this process has it."""
    logger.warning(text)


@contextmanager
def warnings_held_back() -> Iterator[None]:
    """Log nothing inside the block, whose caller tells by itself what is wrong; afterwards it is news again."""
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before
        warn_once.cache_clear()


MOST_NAMED = 10
"""Skipped inputs that a command names on stderr."""


def warn_skipped(skipped: Sequence[tuple[str, str]], *, before: int = 0) -> None:
    """Warn of inputs that are skipped: the first by name, and the number of the others.

    Args:
        skipped: ``(name, reason)`` of each.
        before: How many the command has warned of already.
    """
    named = skipped[: max(0, MOST_NAMED - before)]
    for name, reason in named:
        logger.warning("%s is skipped: %s%s", name, reason, "" if reason.endswith("?") else ".")
    if others := len(skipped) - len(named):
        verb = "is" if others == 1 else "are"
        logger.warning("%s more %s skipped; the JSON document names all.", f"{others:,}", verb)


def progress_bar(*, total: int | None, unit: str, description: str, scale: bool = False) -> Any:
    """Return a tqdm bar; it draws only on a terminal, not at all with ``-q``, and not for a single file or image.

    Args:
        total: Number of units; None if unknown.
        unit: Name of one unit: ``image``, ``batch``.
        description: Label in front of the bar.
        scale: Abbreviate 1,200,000 as 1.2M.
    """
    quiet = not logger.isEnabledFor(logging.INFO)
    if quiet or (total == 1 and not scale) or not _is_terminal():
        return _NoBar()  # importing tqdm takes as long as running a small network
    from tqdm import tqdm

    # tqdm draws nothing on a terminal that reports no size, as a pseudo-terminal may
    size: dict[str, Any] = {"dynamic_ncols": True} if _has_size() else {"ncols": 80, "nrows": 24}
    return tqdm(
        total=total,
        unit=unit if scale else f" {unit}",  # 12.3MB/s, but 12.3 image/s
        unit_scale=scale,
        desc=description,
        leave=False,
        **size,
    )


def _is_terminal() -> bool:
    try:
        return sys.stderr.isatty()
    except (ValueError, AttributeError):  # closed
        return False


class _NoBar:
    """A bar that draws nothing."""

    def __enter__(self) -> _NoBar:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def update(self, number: int) -> None:
        pass

    def set_postfix_str(self, text: str) -> None:
        pass

    def close(self) -> None:
        pass


def _has_size() -> bool:
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns > 0
    except (OSError, ValueError, AttributeError):
        return False

"""An interrupt by Ctrl-C or SIGTERM: what long work polls, and how a user resumes it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from tlkit.utils.logging import logger

interrupted = threading.Event()
"""Set by the command line. TensorFlow can swallow a ``KeyboardInterrupt`` raised inside a C++ call."""

before_exit: list[Callable[[], object]] = []
"""What is called before the command line ends the process in the midst of something."""

_resume_notes: list[Callable[[BaseException], str | None]] = []


def raise_if_interrupted() -> None:
    """Raise ``KeyboardInterrupt`` if an interrupt was swallowed."""
    if interrupted.is_set():
        raise KeyboardInterrupt


@contextmanager
def resumable(note: Callable[[BaseException], str | None]) -> Iterator[None]:
    """Report how to resume the work of the block when it fails or is interrupted.

    Args:
        note: The line for an error; None where nothing can be resumed.
    """
    _resume_notes.append(note)
    try:
        yield
    except BaseException as error:
        if text := note(error):
            logger.warning(text)
        raise
    finally:
        _resume_notes.remove(note)


def resumable_by_repeating() -> AbstractContextManager[None]:
    """Report, when the block is interrupted, that the same command resumes it; blocks inside such a block don't."""
    return nullcontext() if _repeat in _resume_notes else resumable(_repeat)


def _repeat(error: BaseException) -> str | None:
    return "To resume, run the same command again." if isinstance(error, KeyboardInterrupt) else None


def resume_notes() -> list[str]:
    """Return how to resume what runs now, innermost first."""
    error = KeyboardInterrupt()
    return [text for note in reversed(_resume_notes) if (text := note(error))]

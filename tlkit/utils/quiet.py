"""Silence libraries of C++ that print by themselves."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from tlkit.utils.logging import logger


@contextmanager
def stderr_held_back() -> Iterator[None]:
    """Hold back what C++ writes to file descriptor 2, and show it only if the block fails.

    TensorFlow and LiteRT print lines before any log level applies, and not through Python's ``sys.stderr``.
    """
    try:
        real = os.dup(2)
    except OSError:  # started with stderr closed: nothing to hold back
        yield
        return
    with tempfile.TemporaryFile() as held:
        sys.stderr.flush()
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(real, 2)
            held.seek(0)
            sys.stderr.write(held.read().decode("utf-8", "replace"))
            raise
        finally:
            os.dup2(real, 2)
            os.close(real)


@contextmanager
def native_output_discarded() -> Iterator[None]:
    """Discard what C++ writes to stdout and stderr inside the block; with ``-v`` it is shown.

    Python's ``sys.stderr`` still writes; its ``sys.stdout`` does not. After an error stderr stays as it is, because
    what failed may still complain while the process ends.
    """
    if logger.isEnabledFor(logging.DEBUG):
        yield
        return
    restore_stderr = give_own_stderr()
    real: dict[int, int] = {}
    with open(os.devnull, "wb") as nowhere:
        for number, stream in ((1, sys.stdout), (2, sys.stderr)):
            with suppress(OSError, ValueError, AttributeError):  # closed
                stream.flush()
                real[number] = os.dup(number)
                os.dup2(nowhere.fileno(), number)

    def restore(*numbers: int) -> None:
        for number in numbers:
            if number in real:
                os.dup2(real[number], number)
                os.close(real.pop(number))

    try:
        yield
        restore(2)
        restore_stderr()
    finally:
        restore(1)


def give_own_stderr() -> Callable[[], None]:
    """Give Python's stderr a descriptor of its own, so that it still writes where descriptor 2 is held back.

    Returns:
        What undoes it.
    """
    standard = sys.stderr
    try:
        descriptor = os.dup(2) if standard.fileno() == 2 else None
    except (OSError, ValueError, AttributeError):
        descriptor = None
    if descriptor is None:  # replaced by a caller, or closed
        return lambda: None
    standard.flush()
    encoding, errors = standard.encoding, standard.errors
    own = sys.stderr = os.fdopen(descriptor, "w", buffering=1, encoding=encoding, errors=errors)

    def restore() -> None:
        if sys.stderr is own:
            sys.stderr = standard
        own.flush()  # and it stays open: a progress bar may hold it

    return restore

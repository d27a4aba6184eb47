"""Start TensorFlow and Keras while something else is computed."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module

_BACKEND = "tlkit.backend"


@contextmanager
def keras_starting() -> Iterator[None]:
    """Import TensorFlow and Keras in a thread during the block, and wait for them after it.

    An import that fails is left to the code that needs Keras: it imports it again, and says why. An error in the block
    does not wait.
    """
    if _BACKEND in sys.modules:
        yield
        return
    # no daemon: an interpreter that exits during the import would abort
    thread = threading.Thread(target=_start, args=(_give_own_stderr(),), name="start-keras")
    thread.start()
    yield
    thread.join()


def _start(restore_stderr: Callable[[], None]) -> None:
    try:
        with suppress(BaseException):
            import_module(_BACKEND)
    finally:
        restore_stderr()


def _give_own_stderr() -> Callable[[], None]:
    """Give Python's stderr a descriptor of its own, because descriptor 2 is held back during the import.

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

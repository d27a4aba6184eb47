"""Start TensorFlow and Keras while something else is computed."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module

_BACKEND = "tlkit.backend"


@contextmanager
def keras_starting() -> Iterator[None]:
    """Import TensorFlow and Keras in a thread during the block, and wait for them after it.

    An import that fails is left to the code that needs Keras: it imports it again, and says why.
    """
    if _BACKEND in sys.modules:
        yield
        return
    with _own_stderr():
        thread = threading.Thread(target=_start, name="start-keras", daemon=True)
        thread.start()
        yield
        thread.join()


def _start() -> None:
    with suppress(BaseException):
        import_module(_BACKEND)


@contextmanager
def _own_stderr() -> Iterator[None]:
    """Give Python's stderr a descriptor of its own: during the import descriptor 2 is held back."""
    standard = sys.stderr
    try:
        descriptor = os.dup(2) if standard.fileno() == 2 else None
    except (OSError, ValueError, AttributeError):
        descriptor = None
    if descriptor is None:  # redirected by a caller, or closed
        yield
        return
    standard.flush()
    encoding, errors = standard.encoding, standard.errors
    own = sys.stderr = os.fdopen(descriptor, "w", buffering=1, encoding=encoding, errors=errors, newline="\n")
    try:
        yield
    finally:
        if sys.stderr is own:
            sys.stderr = standard
        own.flush()  # and it stays open: a progress bar may hold it

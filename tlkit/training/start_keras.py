"""Start Keras and its backend while something else is computed."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module

from tlkit.inference.select import resolve_engine
from tlkit.utils.quiet import give_own_stderr

_BACKEND = "tlkit.backend"


@contextmanager
def keras_starting(engine: str) -> Iterator[None]:
    """Import Keras and its backend in a thread during the block, and wait for them after it.

    An import that fails is left to the code that needs Keras: it imports it again, and says why. An error in the block
    does not wait.

    Args:
        engine: What computes in the block: if that is Keras, it imports it by itself.
    """
    if _BACKEND in sys.modules or resolve_engine(engine) == "keras":
        yield
        return
    # no daemon: an interpreter that exits during the import would abort
    thread = threading.Thread(target=_start, args=(give_own_stderr(),), name="start-keras")
    thread.start()
    yield
    thread.join()


def _start(restore_stderr: Callable[[], None]) -> None:
    try:
        with suppress(BaseException):
            import_module(_BACKEND)
    finally:
        restore_stderr()

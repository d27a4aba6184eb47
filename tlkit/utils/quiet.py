"""Silence libraries of C++ that print by themselves."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


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

"""Read small text files whole, and nothing that has no end."""

from __future__ import annotations

import os
import select
from pathlib import Path

from tlkit.utils.text import format_bytes

WAIT_SECONDS = 5


def read_text(path: Path, limit: int) -> str:
    """Return the text of a file, UTF-8; also of a pipe, such as ``<(command)``, if something writes to it.

    Args:
        path: The file.
        limit: Most bytes that such a file has.

    Raises:
        OSError: It cannot be read.
        ValueError: It is larger, is not UTF-8, or nobody writes to the pipe.
    """
    if not hasattr(select, "poll"):  # Windows, whose pipes have no path
        with path.open("rb") as whole:
            return _decoded(whole.read(limit + 1), limit)
    content = bytearray()
    file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # opening a pipe must not wait for its writer
    try:
        ready = select.poll()
        ready.register(file, select.POLLIN)
        while True:
            if not ready.poll(1000 * WAIT_SECONDS):
                raise ValueError(f"nothing was written to it within {WAIT_SECONDS} seconds")
            block = os.read(file, limit + 1 - len(content))
            content += block
            if not block or len(content) > limit:
                return _decoded(content, limit)
    finally:
        os.close(file)


def _decoded(content: bytes | bytearray, limit: int) -> str:
    if len(content) > limit:
        raise ValueError(f"it is larger than {format_bytes(limit)}")
    return content.decode("utf-8")

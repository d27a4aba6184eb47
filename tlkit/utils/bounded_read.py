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
    content = bytearray()
    file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # opening a pipe must not wait for its writer
    try:
        ready = select.poll()
        ready.register(file, select.POLLIN)
        while True:
            if not ready.poll(1000 * WAIT_SECONDS):
                raise ValueError(f"nothing was written to it within {WAIT_SECONDS} seconds")
            block = os.read(file, limit + 1 - len(content))
            if not block:
                return content.decode("utf-8")
            content += block
            if len(content) > limit:
                raise ValueError(f"it is larger than {format_bytes(limit)}")
    finally:
        os.close(file)

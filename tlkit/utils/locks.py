"""Lock files: one tlkit process at a time works in one directory."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from tlkit.utils.logging import logger

_UNSUPPORTED = {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL}
"""Errors of file systems without locks; some network file systems are."""


@contextmanager
def locked(path: Path, *, wait: bool = True, remove: bool = False) -> Iterator[None]:
    """Hold the lock file ``path``, which is created if needed; the lock ends with its process, however that ends.

    On a file system without locks the block runs unlocked, after a warning.

    Args:
        path: The lock file.
        wait: Wait for another process that holds it, after a message; otherwise fail.
        remove: Remove the file afterwards.

    Raises:
        BlockingIOError: Another process holds it, and ``wait`` is False.
        OSError: The file cannot be created.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(path, fallback_to_soft=False, poll_interval=0.2)
    with ExitStack() as held:
        try:
            # Where the folder takes no files, filelock would wait for ever.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o644))
            held.enter_context(lock.acquire(blocking=False))
        except Timeout as error:
            if not wait:
                raise BlockingIOError(errno.EWOULDBLOCK, "Another process holds the lock", str(path)) from error
            logger.warning("Another tlkit is working in %s; waiting for it.", path.parent)
            held.enter_context(lock.acquire())
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
            logger.warning("The file system of %s has no locks: do not run a second tlkit on it now.", path.parent)
        try:
            yield
        finally:
            if remove and os.name != "nt":  # Windows removes no open file; filelock does it there
                with suppress(OSError):
                    path.unlink()

"""One process at a time in one folder; a lock ends with its process, however that ends."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tlkit.utils.logging import logger

_NO_LOCKS = {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL}
"""What file systems without locks answer; some network file systems are."""


@contextmanager
def locked(path: Path, *, wait: bool = True, remove: bool = False) -> Iterator[None]:
    """Hold the lock file ``path``; it is made where there is none.

    Args:
        path: The lock file.
        wait: Wait for a process that holds it, saying so; else fail.
        remove: Remove the file in the end.

    Raises:
        BlockingIOError: Another process holds it, and ``wait`` is False.
        OSError: The file cannot be made.
    """
    said = False
    while True:
        with path.open("a+b") as file:
            try:
                _try_lock(file.fileno())
            except BlockingIOError:
                if not wait:
                    raise
                if not said:
                    logger.warning("Another tlkit is at work in %s; waiting for it.", path.parent)
                said = True
                time.sleep(0.2)
                continue
            except OSError as error:
                if error.errno not in _NO_LOCKS:
                    raise
                logger.warning(
                    "The file system of %s has no locks: do not run a second tlkit on it now.",
                    path.parent,
                )
            if os.name != "nt" and os.fstat(file.fileno()).st_nlink == 0:
                continue  # who held it before removed it; this is the lock of nobody
            try:
                yield
            finally:
                if remove:
                    path.unlink(missing_ok=True)
            return


def _try_lock(descriptor: int) -> None:
    if os.name == "nt":
        import msvcrt

        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        except PermissionError as error:
            raise BlockingIOError(str(error)) from error
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

"""A process that is ready to read a file before anybody has one for it.

:mod:`tlkit.keras_files.hdf5.subprocess_guard` starts a fresh Python for every file, which imports for longer than it
reads a small one. The command line forks a spare process in its first moment instead, when there are no threads and
nothing is imported, so that both import side by side. On Linux alone: elsewhere libraries do not survive a fork.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import IO, Any

_spares: list[SpareProcess] = []


class SpareProcess:
    """What is used of a ``subprocess.Popen`` whose stdin and stdout are pipes."""

    def __init__(self) -> None:
        request, own_request = os.pipe()
        own_answer, answer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            _become_reader(request, answer)
        os.close(request)
        os.close(answer)
        self.stdin: IO[bytes] | None = os.fdopen(own_request, "wb")
        self.stdout: IO[bytes] | None = os.fdopen(own_answer, "rb")
        self.returncode: Any = None

    def communicate(self, timeout: float | None = None) -> tuple[bytes, None]:
        """Return what it wrote to stdout until it ended; a limit of the time is not kept."""
        assert self.stdout is not None
        answer = self.stdout.read()
        self.wait()
        return answer, None

    def wait(self) -> None:
        """Wait for its end; ``returncode`` is the exit status, or the negative number of the signal that ended it."""
        if self.returncode is None:
            self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def kill(self) -> None:
        """End it."""
        if self.returncode is None:
            os.kill(self.pid, signal.SIGKILL)


def fork_spare() -> None:
    """Fork a process for the next file; to be called where this one has no threads."""
    if sys.platform == "linux":
        _spares.append(SpareProcess())


def take_spare() -> SpareProcess | None:
    """Return the process that was forked; None if there is none, or it was taken."""
    return _spares.pop() if _spares else None


def _become_reader(request: int, answer: int) -> None:
    """Import what reading takes, wait for a request, answer it and end."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        os.dup2(request, 0)
        os.dup2(answer, 1)
        os.closerange(3, max(request, answer, 16) + 1)
        import h5py  # noqa: F401

        from tlkit.keras_files.hdf5.worker import serve

        serve()
    except EOFError:  # nobody needed it
        pass
    finally:
        os._exit(1)

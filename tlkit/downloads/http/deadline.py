"""End connections at a deadline: a server that sends a byte now and then defeats every timeout of a socket."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import Any

_active: set[Deadline] = set()


def hang_up_all() -> None:
    """End every download in progress, in whatever thread."""
    for deadline in tuple(_active):
        deadline.hang_up()


class Deadline:
    """The time that the connections of one download have; a context manager.

    Args:
        seconds: Until they are ended, unless :meth:`extend` is called.
    """

    def __init__(self, seconds: float) -> None:
        self._connections: list[socket.socket] = []
        self._time = time.monotonic() + seconds
        self._finished = threading.Event()
        self._expired = False

    def __enter__(self) -> Deadline:
        _active.add(self)
        threading.Thread(target=self._wait, name="deadline", daemon=True).start()
        return self

    def __exit__(self, *_: Any) -> None:
        _active.discard(self)
        self._finished.set()
        for connection in self._connections:
            connection.close()

    def _wait(self) -> None:
        while (left := self._time - time.monotonic()) > 0:
            if self._finished.wait(left):
                return
        self.hang_up()

    def add(self, connection: socket.socket) -> None:
        """End this connection at the deadline, also when TLS has taken the socket over."""
        self._connections.append(connection.dup())
        if self._expired:
            self.hang_up()

    def extend(self, seconds: float) -> None:
        """Move the deadline to ``seconds`` from now."""
        self._time = time.monotonic() + seconds

    @property
    def expired(self) -> bool:
        """Whether the deadline has passed."""
        return self._expired or time.monotonic() > self._time

    def hang_up(self) -> None:
        """End all connections; a thread that reads from one stops waiting."""
        self._expired = True
        for connection in self._connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

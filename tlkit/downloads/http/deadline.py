"""Hang up when time is over: a server that sends a byte now and then defeats every time limit of a socket."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import Any


class Watch:
    """The time that the connections of one fetch have; a context manager.

    Args:
        seconds: Until it hangs up, unless :meth:`extend` gives it longer.
    """

    def __init__(self, seconds: float) -> None:
        self._sockets: list[socket.socket] = []
        self._deadline = time.monotonic() + seconds
        self._over = threading.Event()
        self._given_up = False

    def __enter__(self) -> Watch:
        threading.Thread(target=self._wait, name="watch", daemon=True).start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._over.set()

    def _wait(self) -> None:
        while (left := self._deadline - time.monotonic()) > 0:
            if self._over.wait(left):
                return
        self.hang_up()

    def add(self, opened: socket.socket) -> None:
        """Keep a socket, to hang up on when time is over."""
        self._sockets.append(opened)
        if self._given_up:
            self.hang_up()

    def extend(self, seconds: float) -> None:
        """Give it this long from now on."""
        self._deadline = time.monotonic() + seconds

    @property
    def late(self) -> bool:
        """True when time is over."""
        return self._given_up or time.monotonic() > self._deadline

    def hang_up(self) -> None:
        """End all connections; whoever reads from one stops waiting."""
        self._given_up = True
        for opened in self._sockets:
            with contextlib.suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)

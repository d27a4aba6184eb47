"""Run the application with uvicorn until a signal ends it; what has begun is finished first."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from tlkit.errors import TlkitError
from tlkit.serving.limits import Limits
from tlkit.utils.logging import logger


def bind(host: str, port: int) -> socket.socket:
    """Return a socket that is bound to an address and does not listen yet.

    Raises:
        TlkitError: There is no such address here, or it is in use.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, protocol)
        try:
            if hasattr(socket, "SO_REUSEPORT"):  # Windows would share the port with a process that listens
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(address)
        except BaseException:
            bound.close()
            raise
    except (OSError, UnicodeError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise TlkitError(
            f"Cannot listen on {host}, port {port}: {reason}.",
            hint="Choose another with --host and --port; --port 0 takes one that is free.",
        ) from error
    return bound


def url_of(bound: socket.socket) -> str:
    """Return the URL of a server that listens on a socket."""
    host, port = bound.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/"


class HeaderTimeout(H11Protocol):
    """Closes connections that take too long to send the headers of a request."""

    seconds = Limits.header_seconds
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Start to wait for the first request."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop to wait."""
        self._stop()
        super().connection_lost(exc)

    def handle_events(self) -> None:
        """Handle what arrived; wait for headers that are incomplete."""
        super().handle_events()
        if self.cycle is None or (self.cycle.response_complete and self.timeout_keep_alive_task is None):
            self._wait()
        else:
            self._stop()

    def _wait(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(self.seconds, self.transport.close)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class Server(uvicorn.Server):
    """A uvicorn server for one application on one socket.

    Args:
        app: The application.
        limits: Of connections, and of the time that they may take.
    """

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        protocol = type("Protocol", (HeaderTimeout,), {"seconds": limits.header_seconds})
        super().__init__(
            uvicorn.Config(
                app, http=protocol, ws="none", lifespan="off", loop="asyncio", log_config=None, access_log=False,
                server_header=False, proxy_headers=False, timeout_keep_alive=15,
                limit_concurrency=limits.connections, timeout_graceful_shutdown=limits.closing_seconds,
            )
        )  # fmt: skip
        logging.getLogger("uvicorn").setLevel(logging.WARNING)
        self.received: int | None = None

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """End on a signal, in the main thread; a second one ends without waiting for requests."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        # whoever ends the program in any case, a while after a signal, must not hear of these
        wakeup = signal.set_wakeup_fd(-1)
        before = {number: signal.signal(number, self._end) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(wakeup, warn_on_full_buffer=False)

    def _end(self, number: int, frame: FrameType | None) -> None:
        self.force_exit = self.received is not None
        self.received = number
        self.should_exit = True

    def serve_on(self, bound: socket.socket) -> None:
        """Serve until a signal, or until :attr:`should_exit` is set.

        Raises:
            KeyboardInterrupt: Ctrl-C ended it.
        """
        self.run(sockets=[bound])
        if self.received == signal.SIGINT:
            raise KeyboardInterrupt
        logger.info("The server ended.")

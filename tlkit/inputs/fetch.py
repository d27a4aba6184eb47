"""Files from http(s) addresses, within limits on time and size, and never from inside the network unasked."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import threading
import time
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter

import tlkit
from tlkit.errors import InputError

MAX_BYTES = 50_000_000
CONNECT_SECONDS, READ_SECONDS, TOTAL_SECONDS = 10.0, 15.0, 60.0
MAX_REDIRECTS = 5


class _PrivateAddress(Exception):
    """A connection would end, or has ended, at an address that is not public."""


class _Guard:
    """What the connections of one fetch share: the time they have, whether private addresses are refused."""

    def __init__(self, *, allow_private: bool) -> None:
        self._allow_private = allow_private
        self._sockets: list[socket.socket] = []
        self._deadline = time.monotonic() + TOTAL_SECONDS
        self._given_up = False

    def check_address(self, text: str) -> None:
        """Refuse an address that is not public, however it is written."""
        address = ipaddress.ip_address(text.partition("%")[0])
        if not self._allow_private and not (getattr(address, "ipv4_mapped", None) or address).is_global:
            raise _PrivateAddress(str(address))

    def check_host(self, host: str) -> None:
        """Refuse a host whose addresses are not public; one that has none here is left to the proxy."""
        with contextlib.suppress(socket.gaierror, UnicodeError):
            for *_, target in socket.getaddrinfo(host, None):
                self.check_address(str(target[0]))

    def watch(self, opened: socket.socket) -> None:
        """Keep a socket, to hang up on when time is over."""
        self._sockets.append(opened)

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


_active: set[_Guard] = set()


def hang_up_all() -> None:
    """End every fetch that is under way, in whatever thread."""
    for guard in tuple(_active):
        guard.hang_up()


class _GuardedAdapter(HTTPAdapter):
    """requests' own adapter with connections that a guard has looked at."""

    def __init__(self, guard: _Guard) -> None:
        self._guard = guard
        super().__init__()

    def send(self, request: Any, *args: Any, **kwargs: Any) -> requests.Response:
        # behind a proxy no connection of ours shows where it ends, so the name is looked at; every redirect comes here
        if requests.utils.select_proxy(request.url, kwargs.get("proxies")):
            self._guard.check_host(urlsplit(request.url).hostname or "")
        return super().send(request, *args, **kwargs)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        guard = self._guard

        class Checked:
            """Looks at where a connection really ended, so that no name can hide an address."""

            sock: Any

            def _new_conn(self) -> socket.socket:
                opened = super()._new_conn()  # type: ignore[misc]
                guard.check_address(opened.getpeername()[0])
                return opened

            def connect(self) -> None:
                super().connect()  # type: ignore[misc]
                guard.watch(self.sock)  # behind TLS this is another object than the one above

        class Plain(Checked, urllib3.connection.HTTPConnection):
            pass

        class Secure(Checked, urllib3.connection.HTTPSConnection):
            pass

        class PlainPool(urllib3.HTTPConnectionPool):
            ConnectionCls = Plain

        class SecurePool(urllib3.HTTPSConnectionPool):
            ConnectionCls = Secure

        self.poolmanager.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}


def fetch(address: str, *, allow_private: bool = False, wanted: str = "a picture") -> bytes:
    """The bytes at an address.

    Args:
        address: An http or https address.
        allow_private: Also take loopback, link-local and private addresses.
        wanted: What should be there, for messages.

    Returns:
        The body, at most 50 MB.

    Raises:
        InputError: Another scheme (also by redirect), a private address, no answer in time, too large, an
            error status, or a web page. The message is the reason alone.
    """
    guard = _Guard(allow_private=allow_private)
    timer = threading.Timer(TOTAL_SECONDS, guard.hang_up)
    timer.daemon = True
    timer.start()
    _active.add(guard)
    try:
        return _fetch(address, guard, wanted)
    except InputError:
        raise
    except _PrivateAddress as error:
        raise InputError(f"it leads to {error}, an address inside this network; --allow-private allows that") from error
    except requests.exceptions.InvalidSchema as error:
        raise InputError("it leads to something other than http or https") from error
    except requests.TooManyRedirects as error:
        raise InputError(f"it redirects more than {MAX_REDIRECTS} times") from error
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
        raise InputError(_too_late() if guard.late else _reason(error)) from error
    finally:
        timer.cancel()
        _active.discard(guard)


def _too_late() -> str:
    return f"no complete answer within {TOTAL_SECONDS:.0f} seconds"


def _reason(error: Exception) -> str:
    if isinstance(error, requests.Timeout | urllib3.exceptions.TimeoutError):
        return "no answer in time"
    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate cannot be verified"
    if isinstance(error, requests.ConnectionError):
        return "no connection"
    if isinstance(error, requests.exceptions.InvalidURL):
        return "it is not a complete address"
    return f"the answer broke off ({type(error).__name__})"


def _fetch(address: str, guard: _Guard, wanted: str) -> bytes:
    with requests.Session() as session:
        session.adapters.clear()
        for scheme in ("http://", "https://"):
            session.mount(scheme, _GuardedAdapter(guard))
        session.max_redirects = MAX_REDIRECTS
        session.headers["User-Agent"] = f"tlkit/{tlkit.__version__}"
        session.headers["Accept-Encoding"] = "identity"
        with session.get(address, stream=True, timeout=(CONNECT_SECONDS, READ_SECONDS)) as response:
            if not response.ok:
                raise InputError(f"the server answered {response.status_code}")
            kind = response.headers.get("Content-Type", "").partition(";")[0].strip()
            if kind in ("text/html", "application/xhtml+xml"):
                raise InputError(f"the server answered with a web page, not {wanted}")
            length = response.headers.get("Content-Length", "")
            if length.isdigit() and int(length) > MAX_BYTES:
                raise InputError(f"it is larger than {MAX_BYTES // 1_000_000} MB")
            return _body(_pieces(response), guard)


def _pieces(response: requests.Response) -> Iterable[bytes]:
    while piece := response.raw.read1(1 << 16):  # what has come so far, never waiting for more
        yield piece


def _body(pieces: Iterable[bytes], guard: _Guard) -> bytes:
    body = bytearray()
    for piece in pieces:
        body += piece
        if len(body) > MAX_BYTES:
            raise InputError(f"it is larger than {MAX_BYTES // 1_000_000} MB")
        if guard.late:
            break
    if guard.late:  # hanging up looks like the end of an answer that named no length
        raise InputError(_too_late())
    return bytes(body)

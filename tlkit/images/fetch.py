"""Pictures from http(s) addresses, within limits on time and size, and never from inside the network unasked."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import threading
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter

import tlkit
from tlkit.errors import ImageError

MAX_BYTES = 50_000_000
CONNECT_SECONDS, READ_SECONDS, TOTAL_SECONDS = 10.0, 15.0, 60.0
MAX_REDIRECTS = 5


class _PrivateAddress(Exception):
    """A connection ended at an address that is not public."""


class _Guard:
    """What the connections of one fetch share: whether private addresses are refused, and their sockets."""

    def __init__(self, *, allow_private: bool) -> None:
        self.allow_private = allow_private
        self.sockets: list[socket.socket] = []

    def check(self, connected: socket.socket) -> None:
        """Look at where a connection really ended, so that no name can hide an address."""
        self.sockets.append(connected)
        address = ipaddress.ip_address(connected.getpeername()[0].partition("%")[0])
        if not self.allow_private and not (getattr(address, "ipv4_mapped", None) or address).is_global:
            raise _PrivateAddress(str(address))

    def hang_up(self) -> None:
        for opened in self.sockets:
            with contextlib.suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)


class _GuardedAdapter(HTTPAdapter):
    """requests' own adapter with connections that a guard has looked at."""

    def __init__(self, guard: _Guard) -> None:
        self._guard = guard
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        guard = self._guard

        class Plain(urllib3.connection.HTTPConnection):
            def _new_conn(self) -> socket.socket:
                opened = super()._new_conn()
                guard.check(opened)
                return opened

        class Secure(urllib3.connection.HTTPSConnection):
            def _new_conn(self) -> socket.socket:
                opened = super()._new_conn()
                guard.check(opened)
                return opened

        class PlainPool(urllib3.HTTPConnectionPool):
            ConnectionCls = Plain

        class SecurePool(urllib3.HTTPSConnectionPool):
            ConnectionCls = Secure

        self.poolmanager.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}


def fetch(address: str, *, allow_private: bool = False) -> bytes:
    """The bytes at an address.

    Args:
        address: An http or https address.
        allow_private: Also take loopback, link-local and private addresses.

    Returns:
        The body, at most 50 MB.

    Raises:
        ImageError: Another scheme (also by redirect), a private address, no answer in time, too large, an
            error status, or a web page. The message is the reason alone.
    """
    guard = _Guard(allow_private=allow_private)
    late = threading.Event()

    def give_up() -> None:
        late.set()
        guard.hang_up()

    watch = threading.Timer(TOTAL_SECONDS, give_up)
    watch.daemon = True
    watch.start()
    try:
        body = _fetch(address, guard)
        if late.is_set():  # hanging up looks like the end of an answer that named no length
            raise TimeoutError
        return body
    except ImageError:
        raise
    except _PrivateAddress as error:
        raise ImageError(f"it leads to {error}, an address inside this network; --allow-private allows that") from error
    except requests.exceptions.InvalidSchema as error:
        raise ImageError("it leads to something other than http or https") from error
    except requests.TooManyRedirects as error:
        raise ImageError(f"it redirects more than {MAX_REDIRECTS} times") from error
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
        if late.is_set():
            raise ImageError(f"no complete answer within {TOTAL_SECONDS:.0f} seconds") from error
        raise ImageError(_reason(error)) from error
    finally:
        watch.cancel()


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


def _fetch(address: str, guard: _Guard) -> bytes:
    with requests.Session() as session:
        session.adapters.clear()
        for scheme in ("http://", "https://"):
            session.mount(scheme, _GuardedAdapter(guard))
        session.max_redirects = MAX_REDIRECTS
        session.headers["User-Agent"] = f"tlkit/{tlkit.__version__}"
        session.headers["Accept-Encoding"] = "identity"
        with session.get(address, stream=True, timeout=(CONNECT_SECONDS, READ_SECONDS)) as response:
            if not response.ok:
                raise ImageError(f"the server answered {response.status_code}")
            kind = response.headers.get("Content-Type", "").partition(";")[0].strip()
            if kind in ("text/html", "application/xhtml+xml"):
                raise ImageError("the server answered with a web page, not a picture")
            length = response.headers.get("Content-Length", "")
            if length.isdigit() and int(length) > MAX_BYTES:
                raise ImageError(f"it is larger than {MAX_BYTES // 1_000_000} MB")
            return _body(response)


def _body(response: requests.Response) -> bytes:
    body = bytearray()
    for piece in response.raw.stream(1 << 16):
        body += piece
        if len(body) > MAX_BYTES:
            raise ImageError(f"it is larger than {MAX_BYTES // 1_000_000} MB")
    return bytes(body)

"""Download a URL as a stream: within limits, through proxies, and never from inside the network unless allowed."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit

import urllib3
from urllib3.util import make_headers

import tlkit
from tlkit.downloads.http.certificates import trusted
from tlkit.downloads.http.deadline import Deadline
from tlkit.downloads.http.error_messages import HttpError, http_error
from tlkit.downloads.http.private_networks import check_host, check_ip
from tlkit.downloads.http.proxies import proxy_for, split_user
from tlkit.utils.text import format_bytes

MAX_REDIRECTS = 5
CONNECT_SECONDS = 10.0
_BLOCK = 1 << 16
_ENCODINGS = {"", "identity", "gzip", "x-gzip", "deflate"}


@dataclass(frozen=True)
class Limits:
    """What a download may take.

    Attributes:
        max_bytes: Size of the file, after decompression.
        read_seconds: Wait for the next bytes.
        seconds: Time for the whole download, or, with ``min_bytes``, for each so many bytes.
        min_bytes: Bytes that must arrive within ``seconds``; None to limit the whole download instead.
    """

    max_bytes: int
    read_seconds: float
    seconds: float
    min_bytes: int | None = None

    @property
    def too_late(self) -> str:
        """The reason when time is over."""
        if self.min_bytes is None:
            return f"no complete response within {self.seconds:.0f} seconds"
        return f"it stalled: fewer than {format_bytes(self.min_bytes)} within {self.seconds:.0f} seconds"

    @property
    def too_large(self) -> str:
        """The reason when the file is too large."""
        return f"it is larger than {format_bytes(self.max_bytes)}"


class Response:
    """A response whose body has not been read; iterate over it once to receive the body as it arrives.

    Attributes:
        media_type: Such as ``image/png``; empty if the server names none.
        length: Bytes of the body, before decompression; None if the server does not state it.
    """

    def __init__(self, response: urllib3.BaseHTTPResponse, limits: Limits, deadline: Deadline) -> None:
        self._response, self._limits, self._deadline = response, limits, deadline
        self.media_type = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        length = response.headers.get("Content-Length", "")
        self.length = int(length) if length.isdecimal() else None
        if response.status >= 400:
            raise HttpError(f"the server responded with {response.status}", retry=True)
        if self.length is not None and self.length > limits.max_bytes:
            raise HttpError(limits.too_large)
        encoding = response.headers.get("Content-Encoding", "").lower()
        if not all(part.strip() in _ENCODINGS for part in encoding.split(",")):
            raise HttpError("the server used a compression that is not supported")

    def __iter__(self) -> Iterator[bytes]:
        limits, total, recent = self._limits, 0, 0
        while True:
            with _short_reasons(limits, self._deadline):
                block = self._response.read1(_BLOCK, decode_content=True)  # never more, however compressed
            if self._deadline.expired:  # a closed connection looks like the end of a body without a stated length
                raise HttpError(limits.too_late)
            if not block:
                return
            total, recent = total + len(block), recent + len(block)
            if total > limits.max_bytes:
                raise HttpError(limits.too_large)
            if limits.min_bytes is not None and recent >= limits.min_bytes:
                self._deadline.extend(limits.seconds)
                recent = 0
            yield block


@contextmanager
def stream(url: str, limits: Limits, *, allow_private: bool = True) -> Iterator[Response]:
    """Open an http or https URL and follow its redirects, whose bodies are not read.

    Proxies and trusted certificates are those of the environment. Leaving the block closes the connection.

    Args:
        url: May hold a name and a password, which are sent to its own host only.
        limits: On size and time, also while the body is read inside the block.
        allow_private: Also accept loopback, link-local and private IP addresses.

    Raises:
        HttpError: Refused, not reachable, an error status, too large, or too late; also from reading the body.
    """
    with Deadline(limits.seconds) as deadline:
        with _short_reasons(limits, deadline):
            response = _open(url, limits, deadline, allow_private)
        with closing(response):
            yield Response(response, limits, deadline)


@contextmanager
def _short_reasons(limits: Limits, deadline: Deadline) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # whatever a server makes the libraries raise
        raise HttpError(limits.too_late) if deadline.expired else http_error(error) from error


def _open(url: str, limits: Limits, deadline: Deadline, allow_private: bool) -> urllib3.BaseHTTPResponse:
    timeout = urllib3.Timeout(connect=CONNECT_SECONDS, read=limits.read_seconds)
    user: str | None = None
    previous: SplitResult | None = None
    for _ in range(MAX_REDIRECTS + 1):
        url, given = split_user(url)
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https"):
            raise HttpError("it leads to something other than http or https")
        if not parts.hostname:
            raise HttpError("it is not a complete URL")
        if given is not None or (previous and not _is_same_host(previous, parts)):
            user = given
        previous = parts
        if not allow_private:  # behind a proxy the connection does not show where it ends
            check_host(parts.hostname)
        headers = make_headers(user_agent=f"tlkit/{tlkit.__version__}", accept_encoding="identity", basic_auth=user)
        response = _manager(parts, deadline, allow_private).request(
            "GET", parts._replace(netloc=_ascii(parts.netloc), fragment="").geturl(), headers=headers,
            timeout=timeout, redirect=False, retries=False, preload_content=False,
        )  # fmt: skip
        location = response.get_redirect_location()
        if not location:
            return response
        response.close()  # its body might be endless
        url = urljoin(url, _as_text(location))
    raise HttpError(f"it redirects more than {MAX_REDIRECTS} times")


def _as_text(location: str) -> str:
    """Decode a header that is UTF-8, which Python reads as Latin-1."""
    try:
        return location.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return location


def _is_same_host(before: SplitResult, after: SplitResult) -> bool:
    """Return whether a password may follow a redirect: to the same server, or to its https."""
    servers = [(parts.scheme, parts.port or {"http": 80, "https": 443}[parts.scheme]) for parts in (before, after)]
    upgraded = servers == [("http", 80), ("https", 443)]
    return before.hostname == after.hostname and (servers[0] == servers[1] or upgraded)


def _ascii(netloc: str) -> str:
    return netloc if netloc.isascii() else netloc.encode("idna").decode()


def _manager(url: SplitResult, deadline: Deadline, allow_private: bool) -> urllib3.PoolManager:
    """Return what opens the connections for a URL, directly or through a proxy."""
    context = trusted() if url.scheme == "https" else None  # a bad SSL_CERT_FILE does not matter to http
    proxy = proxy_for(url)
    if proxy is None:
        manager = urllib3.PoolManager(ssl_context=context)
        manager.pool_classes_by_scheme = _pools(deadline, allow_private)
        return manager
    proxy, user = split_user(proxy)
    if proxy.lower().startswith("socks"):
        try:
            from urllib3.contrib.socks import SOCKSProxyManager
        except ImportError as error:
            raise HttpError("the proxy is a SOCKS proxy, and `pip install pysocks` is needed for that") from error
        name, _, password = (user or "").partition(":")
        return SOCKSProxyManager(proxy, name or None, password or None, ssl_context=context)
    if not urlsplit(proxy).hostname:
        raise HttpError("the URL of the proxy is not complete")
    manager = urllib3.ProxyManager(
        proxy,
        proxy_headers=make_headers(proxy_basic_auth=user) if user else None,
        proxy_ssl_context=trusted() if proxy.lower().startswith("https") else None,
        ssl_context=context,
    )
    manager.pool_classes_by_scheme = _pools(deadline, allow_private=True)
    return manager


def _pools(deadline: Deadline, allow_private: bool) -> dict[str, Any]:
    """Return connection pools, by scheme, that check where a connection ends and end it at the deadline."""

    class Limited:
        def _new_conn(self) -> socket.socket:
            opened: socket.socket = super()._new_conn()  # type: ignore[misc]
            if not allow_private:  # where it really ended, so that no name can hide an IP address
                check_ip(opened.getpeername()[0])
            deadline.add(opened)
            return opened

    class Plain(Limited, urllib3.connection.HTTPConnection):
        pass

    class Secure(Limited, urllib3.connection.HTTPSConnection):
        pass

    class PlainPool(urllib3.HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(urllib3.HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}

"""Ask an address: over proxies and trusted certificates, watched, and never from inside the network unasked."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote, urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter

import tlkit
from tlkit.downloads.http.certificates import trusted
from tlkit.downloads.http.deadline import Watch
from tlkit.downloads.http.error_messages import WebError
from tlkit.downloads.http.private_networks import check_address, check_host

MAX_REDIRECTS = 5
PIECE = 1 << 16
_ENCODINGS = {"", "identity", "gzip", "x-gzip", "deflate"}


@contextmanager
def open_address(
    address: str, watch: Watch, *, timeout: tuple[float, float], only_public: bool = False
) -> Iterator[requests.Response]:
    """The answer of an http or https address, its body unread; proxies are those that the environment names.

    Args:
        address: It may hold a name and a password, which go to its own host only.
        watch: Hangs up when time is over.
        timeout: Seconds to wait for a connection, and for each piece of the answer.
        only_public: Refuse loopback, link-local and private addresses, by redirect too.

    Raises:
        WebError: Refused, or too many redirects.
        requests.RequestException: No answer; :func:`tlkit.downloads.http.error_messages.reason` has words for it.
    """
    address, who = _without_user(address)
    with _Session() as session:
        session.adapters.clear()
        for scheme in ("http://", "https://"):
            session.mount(scheme, _Adapter(watch, only_public=only_public))
        session.max_redirects = MAX_REDIRECTS
        session.headers["User-Agent"] = f"tlkit/{tlkit.__version__}"
        session.headers["Accept-Encoding"] = "identity"
        try:
            response = session.get(address, auth=who, stream=True, timeout=timeout)
        except requests.TooManyRedirects as error:
            raise WebError(f"it redirects more than {MAX_REDIRECTS} times") from error
        with response:
            yield response


def pieces(response: requests.Response) -> Iterator[bytes]:
    """The body, as it comes, never waiting for more; a compressed one is opened, a piece at a time.

    Raises:
        WebError: It is compressed in a way that nobody asked for.
        requests.RequestException: It broke off.
    """
    encoding = response.headers.get("Content-Encoding", "").strip().lower()
    if not all(part.strip() in _ENCODINGS for part in encoding.split(",")):
        raise WebError("the server answered with a compression that is not read here")
    try:
        while piece := response.raw.read1(PIECE, decode_content=True):
            yield piece
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise requests.exceptions.ChunkedEncodingError(error) from error


def _without_user(address: str) -> tuple[str, tuple[str, str] | None]:
    """The address without ``name:password@``, so that no library can say it, and the two."""
    try:
        parts = urlsplit(address)
    except ValueError:  # requests has words for it
        return address, None
    user, at, host = parts.netloc.rpartition("@")
    if not at:
        return address, None
    name, _, password = user.partition(":")
    return parts._replace(netloc=host).geturl(), (unquote(name), unquote(password))


class _Session(requests.Session):
    """requests' own, which never reads the body of a redirect: it might be endless."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        target = super().get_redirect_target(resp)
        if target:
            resp.raw.close()
            resp._content, resp._content_consumed = b"", True  # type: ignore[attr-defined]
        return target


class _Adapter(HTTPAdapter):
    """requests' own with connections that are looked at and can be ended."""

    def __init__(self, watch: Watch, *, only_public: bool) -> None:
        self._watch, self._only_public = watch, only_public
        super().__init__()

    def send(self, request: Any, *args: Any, **kwargs: Any) -> requests.Response:
        # behind a proxy no connection of ours shows where it ends; every redirect comes here
        if self._only_public:
            check_host(urlsplit(request.url).hostname or "")
        return super().send(request, *args, **kwargs)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _pools(self._watch, only_public=self._only_public)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        if proxy.lower().startswith("https"):
            kwargs.setdefault("proxy_ssl_context", trusted())
        manager = super().proxy_manager_for(proxy, **kwargs)
        if type(manager) is urllib3.ProxyManager:  # a SOCKS proxy has connections of its own kind
            manager.pool_classes_by_scheme = _pools(self._watch, only_public=False)
        return manager

    def build_connection_pool_key_attributes(self, request: Any, verify: Any, cert: Any = None) -> Any:
        host, _ = super().build_connection_pool_key_attributes(request, verify, cert)
        if host["scheme"] != "https":
            return host, {}
        return host, {"cert_reqs": "CERT_REQUIRED", "ssl_context": trusted()}

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """What is trusted is in the context; requests would add certifi's to it."""


def _pools(watch: Watch, *, only_public: bool) -> dict[str, Any]:
    """Connection pools, by scheme, whose connections are watched and, where asked, end at public addresses only."""

    class Watched:
        sock: Any

        def _new_conn(self) -> socket.socket:
            opened: socket.socket = super()._new_conn()  # type: ignore[misc]
            if only_public:  # where it really ended, so that no name can hide an address
                check_address(opened.getpeername()[0])
            watch.add(opened)
            return opened

        def connect(self) -> None:
            super().connect()  # type: ignore[misc]
            watch.add(self.sock)  # behind TLS this is another object than the one above

    class Plain(Watched, urllib3.connection.HTTPConnection):
        pass

    class Secure(Watched, urllib3.connection.HTTPSConnection):
        pass

    class PlainPool(urllib3.HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(urllib3.HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}

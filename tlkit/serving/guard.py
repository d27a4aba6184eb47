"""Who may ask: pages of other origins may not, nor names that lead to this machine by DNS rebinding."""

from __future__ import annotations

import ipaddress
import json
import socket
from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "media-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
}
_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST",
    "Access-Control-Allow-Headers": "Content-Type",
    "Access-Control-Max-Age": "600",
}


def is_loopback(host: str) -> bool:
    """Return True for ``localhost`` and IP addresses of this machine alone, with or without brackets."""
    name = host.removeprefix("[").removesuffix("]").removesuffix(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def names_of_machine() -> set[str]:
    """Return the names that others on its network know this machine by."""
    name = socket.gethostname().lower()
    return {name, name.partition(".")[0], f"{name.partition('.')[0]}.local"}


def _host_name(host: str) -> str:
    """Return a ``Host`` header without its port; empty if it is none."""
    try:
        return (urlsplit(f"//{host}").hostname or "").removesuffix(".")
    except ValueError:
        return ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


class Guard:
    """ASGI middleware: checks ``Host`` and ``Origin``, answers preflights, and adds the headers that protect the page.

    Args:
        app: What answers requests that are allowed.
        hosts: Names that the server goes by, besides IP addresses and ``localhost``, which nobody can make lead here.
        origins: Other origins whose pages may ask: ``https://example.org``. It goes by their names too.
    """

    def __init__(self, app: ASGIApp, *, hosts: Collection[str] = (), origins: Collection[str] = ()) -> None:
        self._app, self._origins = app, frozenset(origins)
        self._hosts = {*(host.lower() for host in hosts), *(urlsplit(origin).hostname or "" for origin in origins)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        allowed = origin if origin in self._origins else None
        more = {**_HEADERS, "Cross-Origin-Resource-Policy": "cross-origin" if allowed else "same-origin"}
        if self._origins:
            more["Vary"] = "Origin"
        if allowed is not None:
            more["Access-Control-Allow-Origin"] = allowed
            more["Access-Control-Expose-Headers"] = "Retry-After"

        async def protect(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = MutableHeaders(raw=message["headers"])
                for name, value in more.items():
                    given[name] = value
                given.setdefault("Cache-Control", "no-store")
                message["headers"] = given.raw
            await send(message)

        refusal = self._why_not(scope["method"], headers, origin)
        if refusal is not None:
            await _answer(protect, refusal[0], {"error": refusal[1]}, {"Connection": "close"})
        elif scope["method"] == "OPTIONS" and allowed is not None and "access-control-request-method" in headers:
            await _answer(protect, 204, None, _PREFLIGHT)
        else:
            await self._app(scope, receive, protect)

    def _why_not(self, method: str, headers: Headers, origin: str | None) -> tuple[int, str] | None:
        host = headers.get("host", "")
        name = _host_name(host)
        if not name or not (_is_address(name) or is_loopback(name) or name in self._hosts):
            return 421, (
                "The server goes by IP addresses and the names of its machine; `tlkit serve --cors-origin "
                "http://NAME:PORT` adds one."
            )
        if method in ("GET", "HEAD") or origin is None or origin in self._origins:
            return None
        if origin.partition("://")[2].lower() != host.lower():
            return 403, "Pages of other origins may not ask; `tlkit serve --cors-origin URL` allows one."
        return None


async def _answer(send: Send, status: int, document: object, headers: dict[str, str]) -> None:
    body = b"" if document is None else json.dumps(document).encode()
    given = MutableHeaders(raw=[])
    for name, value in headers.items():
        given[name] = value
    if document is not None:
        given["Content-Type"] = "application/json"
        given["Content-Length"] = str(len(body))
    await send({"type": "http.response.start", "status": status, "headers": given.raw})
    await send({"type": "http.response.body", "body": body})

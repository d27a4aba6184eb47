"""Short reasons why a download failed; the libraries' own messages nest names of objects."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Iterator

from urllib3 import exceptions

_UNKNOWN_ISSUER = {18, 19, 20, 21}
"""OpenSSL's codes for a certificate whose issuer is not trusted."""


class HttpError(Exception):
    """A download that failed; the message is the reason.

    Args:
        reason: Why, in a few words.
        retry: Whether another attempt may succeed.
    """

    def __init__(self, reason: str, *, retry: bool = False) -> None:
        super().__init__(reason)
        self.retry = retry


def http_error(error: Exception) -> HttpError:
    """Return an error with a short reason for what urllib3 and the sockets below it raise."""
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, HttpError):
            return cause
    if _any(causes, http.client.InvalidURL):  # before urllib3 2.8, of a host with a space
        return HttpError("it is not a complete URL")
    for test in (_of_tls, _of_proxy, _of_response, _of_connection):
        reason = test(causes)
        if reason:
            return HttpError(reason, retry=True)
    if isinstance(error, exceptions.LocationValueError | UnicodeError | ValueError):
        return HttpError("it is not a complete URL")
    return HttpError(f"it failed ({type(error).__name__})", retry=True)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and all that led to it: libraries keep the first one as a cause, an argument or ``reason``."""
    waiting, seen = [error], set[int]()
    while waiting:
        cause = waiting.pop(0)
        if id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        more = (cause.__cause__, cause.__context__, getattr(cause, "reason", None), *cause.args)
        waiting += [inner for inner in more if isinstance(inner, BaseException)]


def _any(causes: list[BaseException], *types: type[BaseException]) -> bool:
    return any(isinstance(cause, types) for cause in causes)


def _of_tls(causes: list[BaseException]) -> str | None:
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            reason = f"its certificate cannot be verified ({str(cause.verify_message).rstrip('.')})"
            if cause.verify_code in _UNKNOWN_ISSUER:
                reason += "; SSL_CERT_FILE can name a file of certificates to trust"
            return reason
    return "no secure connection: is it http:// instead of https://?" if _any(causes[:1], exceptions.SSLError) else None


def _of_proxy(causes: list[BaseException]) -> str | None:
    for cause in causes:
        if "Tunnel connection failed" in str(cause) and isinstance(cause, OSError):
            return f"the proxy refused: {str(cause).partition('failed: ')[2]}"
    return "no connection to the proxy" if _any(causes, exceptions.ProxyError) else None


def _of_response(causes: list[BaseException]) -> str | None:
    if _any(causes, http.client.RemoteDisconnected):
        return "the server closed the connection without a response"
    if _any(causes, http.client.IncompleteRead):
        return "the connection was lost, the file is cut short"
    if _any(causes, exceptions.DecodeError):
        return "its compression is damaged"
    if _any(causes, http.client.HTTPException, exceptions.HeaderParsingError):
        return "the server does not speak HTTP"
    timeouts = [cause for cause in causes if isinstance(cause, exceptions.TimeoutError | TimeoutError)]
    if any(not isinstance(cause, exceptions.NewConnectionError) for cause in timeouts):  # urllib3 counts it as one
        return "no response in time"
    return None


def _of_connection(causes: list[BaseException]) -> str | None:
    if _any(causes, socket.gaierror):
        return "no connection: the host is unknown, or there is no network"
    if _any(causes, ConnectionResetError, BrokenPipeError, exceptions.ProtocolError):
        return "the connection was lost, the file is cut short"
    return "no connection" if _any(causes, exceptions.NewConnectionError, ConnectionError) else None

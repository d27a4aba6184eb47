"""Why an address did not give what was wanted, in a few words; the libraries' own nest names of objects."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Iterator

import requests
import urllib3

_UNKNOWN_ISSUER = {18, 19, 20, 21}
"""OpenSSL's codes for a certificate whose issuer nobody here trusts."""


class WebError(Exception):
    """An answer that is not taken, whoever asks again; the message is the reason."""


def reason(error: BaseException) -> str:
    """A short reason for what requests, urllib3 and the sockets below them raise."""
    for test in (_plain, _of_tls, _of_proxy, _of_answer, _of_connection):
        found = test(error)
        if found:
            return found
    return f"it failed ({type(error).__name__})"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error and all that led to it: libraries keep the first one as a cause, an argument or ``reason``."""
    waiting, seen = [error], set[int]()
    while waiting:
        one = waiting.pop(0)
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        more = (one.__cause__, one.__context__, getattr(one, "reason", None), *one.args)
        waiting += [cause for cause in more if isinstance(cause, BaseException)]


def _plain(error: BaseException) -> str | None:
    for cause in _causes(error):
        if isinstance(cause, WebError):
            return str(cause)
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"the server answered {error.response.status_code}"
    if isinstance(error, requests.TooManyRedirects):
        return "it redirects more than it may"
    if isinstance(error, requests.exceptions.InvalidSchema):
        if "SOCKS" in str(error):
            return "the proxy is a SOCKS proxy, and `pip install pysocks` is needed for that"
        return "it leads to something other than http or https"
    if isinstance(error, requests.exceptions.InvalidProxyURL):
        return "the address of the proxy is not complete"
    invalid = (
        requests.exceptions.InvalidURL, requests.exceptions.MissingSchema, urllib3.exceptions.LocationValueError,
        UnicodeError,
    )  # fmt: skip
    return "it is not a complete address" if isinstance(error, invalid) else None


def _of_tls(error: BaseException) -> str | None:
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            said = f"its certificate cannot be verified ({str(cause.verify_message).rstrip('.')})"
            if cause.verify_code in _UNKNOWN_ISSUER:
                said += "; SSL_CERT_FILE can name a file of certificates to trust"
            return said
    if isinstance(error, requests.exceptions.SSLError | urllib3.exceptions.SSLError):
        return "no secure connection: is it http:// instead of https://?"
    return None


def _of_proxy(error: BaseException) -> str | None:
    causes = list(_causes(error))
    for cause in causes:
        if "Tunnel connection failed" in str(cause) and isinstance(cause, OSError):
            return f"the proxy refused: {str(cause).partition('failed: ')[2]}"
    if any(isinstance(cause, requests.exceptions.ProxyError | urllib3.exceptions.ProxyError) for cause in causes):
        return "no connection to the proxy"
    return None


def _of_answer(error: BaseException) -> str | None:
    causes = list(_causes(error))
    if any(isinstance(cause, http.client.RemoteDisconnected) for cause in causes):
        return "the server hung up without an answer"
    if any(isinstance(cause, http.client.IncompleteRead) for cause in causes):
        return "it broke off, cut short"
    if any(isinstance(cause, urllib3.exceptions.DecodeError) for cause in causes):
        return "its compression is damaged"
    broken = (http.client.HTTPException, urllib3.exceptions.HeaderParsingError)
    if any(isinstance(cause, broken) and not isinstance(cause, http.client.InvalidURL) for cause in causes):
        return "what answers there does not speak HTTP"
    timeouts = (requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError)
    refused = urllib3.exceptions.NewConnectionError  # urllib3 counts it among the timeouts
    if any(isinstance(cause, timeouts) and not isinstance(cause, refused) for cause in causes):
        return "no answer in time"
    return None


def _of_connection(error: BaseException) -> str | None:
    causes = list(_causes(error))
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return "no connection: no such host is known here, or there is no network"
    if any(isinstance(cause, ConnectionResetError | BrokenPipeError) for cause in causes):
        return "it broke off, cut short"
    if isinstance(error, requests.exceptions.ChunkedEncodingError | urllib3.exceptions.ProtocolError):
        return "it broke off, cut short"
    if isinstance(error, requests.ConnectionError | ConnectionError):
        return "no connection"
    return None

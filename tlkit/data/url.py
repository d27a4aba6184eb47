"""Files from http(s) addresses, within limits on time and size, and never from inside the network unasked."""

from __future__ import annotations

from tlkit.downloads.http.deadline import Watch
from tlkit.downloads.http.error_messages import WebError, reason
from tlkit.downloads.http.session import open_address, pieces
from tlkit.errors import InputError

MAX_BYTES = 50_000_000
CONNECT_SECONDS, READ_SECONDS, TOTAL_SECONDS = 10.0, 15.0, 60.0

_active: set[Watch] = set()


def hang_up_all() -> None:
    """End every fetch that is under way, in whatever thread."""
    for watch in tuple(_active):
        watch.hang_up()


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
    with Watch(TOTAL_SECONDS) as watch:
        _active.add(watch)
        try:
            return _fetch(address, watch, allow_private, wanted)
        except Exception as error:  # whatever a server makes the libraries raise, it is one file
            raise InputError(_too_late() if watch.late else reason(error)) from error
        finally:
            _active.discard(watch)


def _too_late() -> str:
    return f"no complete answer within {TOTAL_SECONDS:.0f} seconds"


def _fetch(address: str, watch: Watch, allow_private: bool, wanted: str) -> bytes:
    timeout = (CONNECT_SECONDS, READ_SECONDS)
    with open_address(address, watch, timeout=timeout, only_public=not allow_private) as response:
        if not response.ok:
            raise WebError(f"the server answered {response.status_code}")
        kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if kind in ("text/html", "application/xhtml+xml"):
            raise WebError(f"the server answered with a web page, not {wanted}")
        length = response.headers.get("Content-Length", "")
        if length.isdecimal() and int(length) > MAX_BYTES:
            raise WebError(f"it is larger than {MAX_BYTES // 1_000_000} MB")
        body = bytearray()
        for piece in pieces(response):
            body += piece
            if len(body) > MAX_BYTES:
                raise WebError(f"it is larger than {MAX_BYTES // 1_000_000} MB")
            if watch.late:
                break
    if watch.late:  # hanging up looks like the end of an answer that named no length
        raise WebError(_too_late())
    return bytes(body)

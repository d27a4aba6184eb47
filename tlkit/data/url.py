"""Download images and recordings by URL."""

from __future__ import annotations

from tlkit.downloads.http.deadline import hang_up_all
from tlkit.downloads.http.error_messages import HttpError
from tlkit.downloads.http.private_networks import PrivateHostError
from tlkit.downloads.http.stream import Limits, stream
from tlkit.errors import InputError

__all__ = ["LIMITS", "PrivateHostError", "fetch", "hang_up_all"]

LIMITS = Limits(max_bytes=50_000_000, read_seconds=15.0, seconds=60.0)


def fetch(url: str, *, allow_private: bool = False, expected: str = "an image") -> bytes:
    """Download a URL into memory.

    Args:
        url: An http or https URL.
        allow_private: Also accept loopback, link-local and private IP addresses.
        expected: What the URL should lead to, for messages.

    Returns:
        The body, at most 50 MB.

    Raises:
        InputError: Another scheme (also by redirect), a private IP address, no response in time, too large, an error
            status, or a web page. The message is the reason alone.
    """
    try:
        with stream(url, LIMITS, allow_private=allow_private) as response:
            if response.media_type in ("text/html", "application/xhtml+xml"):
                raise HttpError(f"it is a web page, not {expected}")
            return b"".join(response)
    except HttpError as error:
        raise InputError(str(error)) from error

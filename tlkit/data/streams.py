"""Read inputs that are no files: standard input, and URLs of servers and object stores."""

from __future__ import annotations

from tlkit.data.discovery import is_remote, is_url
from tlkit.data.file_checks import read_standard_input
from tlkit.data.modality import Modality


def read_stream(source: str, modality: Modality, *, allow_private: bool = False) -> bytes:
    """Read an input that :func:`tlkit.data.discovery.is_stream` tells.

    Args:
        source: ``-``, or a URL, such as ``https://…`` or ``s3://bucket/a.jpg``.
        modality: What it should hold.
        allow_private: Also accept loopback, link-local and private IP addresses.

    Raises:
        InputError: It cannot be read or is too large; the message is the reason alone.
    """
    if not is_url(source):
        return read_standard_input(modality)
    if is_remote(source):
        from tlkit.data.remote import read_remote

        return read_remote(source, allow_private=allow_private)
    from tlkit.data.url import fetch  # urllib3 takes a while to import

    return fetch(source, allow_private=allow_private, expected=modality.with_article)

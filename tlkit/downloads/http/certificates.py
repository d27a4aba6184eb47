"""Trusted certificates: those that the environment names, else Mozilla's as certifi has them."""

from __future__ import annotations

import os
import ssl
from functools import lru_cache
from pathlib import Path

from tlkit.downloads.http.error_messages import HttpError

VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""OpenSSL's, requests' and curl's."""


def trusted() -> ssl.SSLContext:
    """Return the context that verifies a server's certificate.

    If several variables are set, all certificates that they name are trusted: administrators set one for everything,
    users another for one command.

    Raises:
        HttpError: A variable names no file, or one without certificates.
    """
    return _context(tuple((name, os.environ[name]) for name in VARIABLES if os.environ.get(name)))


@lru_cache(maxsize=4)
def _context(named: tuple[tuple[str, str], ...]) -> ssl.SSLContext:
    import certifi
    from urllib3.util.ssl_ import create_urllib3_context

    context = create_urllib3_context()
    for variable, path in named or (("", certifi.where()),):
        folder = Path(path).is_dir()
        if not folder and not Path(path).is_file():
            raise HttpError(f"{variable} names {path}, and there is no such file of certificates")
        try:
            context.load_verify_locations(cafile=None if folder else path, capath=path if folder else None)
        except (ssl.SSLError, OSError) as error:
            raise HttpError(f"{variable} names {path}, which is not a readable file of certificates (PEM)") from error
    return context

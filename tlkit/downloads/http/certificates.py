"""Which certificates are trusted: those that the environment names, else Mozilla's as certifi has them."""

from __future__ import annotations

import os
import ssl
from functools import lru_cache
from pathlib import Path

from tlkit.downloads.http.error_messages import WebError

VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""OpenSSL's, requests' and curl's; requests itself knows only the last two."""


def trusted() -> ssl.SSLContext:
    """What checks a server's certificate.

    Where several variables are set, all that they name is trusted: administrators set one for everything, and people
    another for one command.

    Raises:
        WebError: A variable names what is not there, or no certificates.
    """
    return _context(tuple((name, os.environ[name]) for name in VARIABLES if os.environ.get(name)))


@lru_cache(maxsize=4)
def _context(named: tuple[tuple[str, str], ...]) -> ssl.SSLContext:
    from requests.utils import DEFAULT_CA_BUNDLE_PATH
    from urllib3.util.ssl_ import create_urllib3_context

    context = create_urllib3_context()
    for variable, path in named or (("", DEFAULT_CA_BUNDLE_PATH),):
        folder = Path(path).is_dir()
        if not folder and not Path(path).is_file():
            raise WebError(f"{variable} names {path}, and there is no such file of certificates")
        try:
            context.load_verify_locations(cafile=None if folder else path, capath=path if folder else None)
        except (ssl.SSLError, OSError) as error:
            raise WebError(
                f"{variable} names {path}, which is no file of certificates that can be read (PEM)"
            ) from error
    return context

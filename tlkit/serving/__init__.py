"""The web server of `tlkit serve`: a page to drop images on, and JSON for programs."""

from __future__ import annotations

from importlib.util import find_spec

from tlkit.errors import TlkitError

EXTRA = "pip install 'tlkit[serve]'"
_PACKAGES = ("starlette", "uvicorn", "python_multipart", "prometheus_client")


def check_installed() -> None:
    """Check for the packages of the server, before any work is done.

    Raises:
        TlkitError: One is missing.
    """
    missing = [name for name in _PACKAGES if find_spec(name) is None]
    if missing:
        raise TlkitError(
            f"`tlkit serve` needs {', '.join(name.replace('_', '-') for name in missing)}, which "
            f"{'is' if len(missing) == 1 else 'are'} not installed.",
            hint=EXTRA,
        )

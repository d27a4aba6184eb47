"""The proxy that the environment names for a URL."""

from __future__ import annotations

import ipaddress
from contextlib import suppress
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass


def proxy_for(url: SplitResult) -> str | None:
    """Return the URL of the proxy for ``url``: ``HTTP_PROXY``, ``HTTPS_PROXY`` or ``ALL_PROXY``, if not ``NO_PROXY``.

    Variables in lower case win, as with curl. ``NO_PROXY`` lists hosts, domains and networks (``10.0.0.0/8``).
    """
    proxies = getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all")
    host = url.hostname or ""
    if not proxy or proxy_bypass(url.netloc) or proxy_bypass(host) or _is_in_network(host, proxies.get("no", "")):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def split_user(url: str) -> tuple[str, str | None]:
    """Split ``name:password@`` off a URL; return the URL without it, and ``name:password`` decoded."""
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    return parts._replace(netloc=host).geturl() if at else url, unquote(user) if at else None


def _is_in_network(host: str, networks: str) -> bool:
    with suppress(ValueError):
        address = ipaddress.ip_address(host)
        for network in filter(None, map(str.strip, networks.split(","))):
            with suppress(ValueError):
                if address in ipaddress.ip_network(network, strict=False):
                    return True
    return False

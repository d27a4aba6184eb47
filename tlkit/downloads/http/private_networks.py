"""Refuse IP addresses that are not on the public internet."""

from __future__ import annotations

import contextlib
import ipaddress
import socket

from tlkit.downloads.http.error_messages import HttpError


class PrivateHostError(HttpError):
    """A URL that leads into this network."""


_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_COMPATIBLE = ipaddress.IPv6Network("::/96")


def is_public(text: str) -> bool:
    """Return whether an IP address is reachable from anywhere, however it is written.

    An IPv6 address that stands for an IPv4 one (mapped, compatible, 6to4, NAT64) is judged as that one.

    Args:
        text: ``127.0.0.1``, ``fe80::1%eth0``.
    """
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        if address.is_site_local:
            return False
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and (address in _NAT64 or address in _COMPATIBLE):
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    return address.is_global and not address.is_multicast


def check_ip(text: str) -> None:
    """Refuse an IP address that is not public.

    Raises:
        PrivateHostError: It is inside this network.
    """
    if not is_public(text):
        address = ipaddress.ip_address(text.partition("%")[0])
        shown = getattr(address, "ipv4_mapped", None) or address
        raise PrivateHostError(f"it leads to {shown}, which is inside this network; --allow-private allows that")


def check_host(host: str) -> None:
    """Refuse a host with an IP address that is not public; one that cannot be resolved here is left to the proxy.

    Raises:
        PrivateHostError: It is inside this network.
    """
    with contextlib.suppress(socket.gaierror, UnicodeError):
        for *_, target in socket.getaddrinfo(host, None):
            check_ip(str(target[0]))

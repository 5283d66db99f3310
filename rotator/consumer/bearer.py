"""Where a token may be sent, and in which header (RFC 6750)."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from rotator.errors import SettingsError


def header(token: str) -> str:
    """Return the value of the header Authorization (2.1)."""
    return f"Bearer {token}"


def check_address(url: str) -> None:
    """Refuse an address without TLS, which would expose the token (5.3), except on loopback.

    A loopback address that the environment's proxy would get leaves this machine, and is refused too.

    Raises:
        SettingsError: The token must not be sent there.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme != "https" and not (_is_loopback(host) and _is_reached_directly(host)):
        raise SettingsError(
            f"the token is not sent to {host}: the address has no https",
            advice="call it by https, or set allow_http=True if something else protects the connection",
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_reached_directly(host: str) -> bool:
    return not getproxies().keys() & {"http", "all"} or bool(proxy_bypass(host))

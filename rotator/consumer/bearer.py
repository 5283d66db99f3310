"""The header for a token, and the addresses to which the token may be sent (RFC 6750)."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from rotator.errors import SettingsError


def header(token: str) -> str:
    """Return the value of the Authorization header (2.1)."""
    return f"Bearer {token}"


def check_address(url: str) -> None:
    """Refuse an address without TLS, which would expose the token (5.3), except on loopback.

    If the environment sets a proxy for a loopback address, the request leaves this machine, and is refused
    as well. Raises SettingsError.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme != "https" and not (_is_loopback(host) and _is_reached_directly(host)):
        raise SettingsError(
            f"the token was not sent to {host}: the URL does not begin with https",
            advice="use https, or set allow_http=True if the connection is protected by other means",
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_reached_directly(host: str) -> bool:
    return not getproxies().keys() & {"http", "all"} or bool(proxy_bypass(host))

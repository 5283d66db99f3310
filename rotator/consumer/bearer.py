"""Where a token may go, and when a request that was answered 401 may be sent again (RFC 6750)."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from rotator.errors import SettingsError


def header(token: str) -> str:
    """Return the value of the header Authorization (2.1)."""
    return f"Bearer {token}"


def check_address(url: str) -> None:
    """Raise SettingsError for an address without TLS, save on loopback: anybody could read it there (5.3).

    What goes to loopback by a proxy of the environment goes further than that.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme != "https" and not (_is_loopback(host) and _is_reached_directly(host)):
        raise SettingsError(
            f"the token is not sent to {host}: the address has no https",
            advice="call it by https, or say allow_http=True where something else protects the way",
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_reached_directly(host: str) -> bool:
    return not getproxies().keys() & {"http", "all"} or bool(proxy_bypass(host))

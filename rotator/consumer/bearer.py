"""Where a token may go, and when a request that was answered 401 may be sent again (RFC 6750)."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from rotator.errors import SettingsError


def header(token: str) -> str:
    """Return the value of the header Authorization (2.1)."""
    return f"Bearer {token}"


def check_address(url: str) -> None:
    """Raise SettingsError for an address without TLS, save on loopback: anybody could read it there (5.3)."""
    parts = urlsplit(url)
    if parts.scheme != "https" and not _is_loopback(parts.hostname or ""):
        raise SettingsError(
            f"the token is not sent to {parts.hostname}: the address has no https",
            advice="call it by https, or say allow_http=True where something else protects the way",
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

"""The claims of a JWT (RFC 7519).

The signature is not checked: this is up to the resource server. A token that is not a JWT is opaque and has
no claims.
"""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any


def claims(token: str) -> dict[str, Any] | None:
    """Return the claims of a token that is a signed JWT, None for any other token."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        found = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def expiry(token: str) -> datetime | None:
    """Return the claim ``exp`` (RFC 7519, 4.1.4) in UTC; None if there is none."""
    exp = (claims(token) or {}).get("exp")
    if isinstance(exp, bool) or not isinstance(exp, int | float):
        return None
    try:
        return datetime.fromtimestamp(exp, UTC)
    except (ValueError, OverflowError, OSError):
        return None

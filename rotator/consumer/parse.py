"""Parses the values of a token parameter and its status.

A consumer may read a parameter that no rotator writes. So the status may be missing, and its times are used
only if it describes exactly the token in the parameter.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

from rotator.errors import TokenUnavailable
from rotator.oauth import jwt
from rotator.oauth.dates import read_time
from rotator.oauth.models import Secret

STATUS_SCHEMA = 1
"""The schema of the status, as the rotator writes it (renewal/status.py)."""

_LEGAL = re.compile(r"[\x21-\x7e]+")  # allowed in a header (RFC 6749, A.12, without the space)
_JSON = ("{", "[", '"')  # begin JSON, such as an endpoint's whole answer, but no token (RFC 6750, 2.1)


@dataclass(frozen=True, kw_only=True)
class Found:
    """One answer of Parameter Store. ``read_at`` is its time by the clock of AWS, None if it has no time."""

    token: str = field(repr=False)
    version: int
    status: str | None = None
    read_at: datetime | None = None


ParameterReader = Callable[[], Found]
"""Returns the stored token and status, read in one call; raises TokenUnavailable if they cannot be read."""


def token_times(parameter_name: str, found: Found) -> tuple[datetime | None, datetime | None]:
    """Return when the token expires and when it is renewed (UTC), None if unknown.

    It expires at the time in its status or its own ``exp``, whichever is earlier. Raises TokenUnavailable if
    the parameter's value cannot follow ``Bearer`` in a header.
    """
    if problem := _problem(found.token):
        raise TokenUnavailable(
            f"the parameter {parameter_name} {problem}",
            advice="store only the token in it, without `Bearer `, or read another parameter",
        )
    expires_at, renew_at = _status_times(found)
    expiries = [time for time in (expires_at, jwt.expiry(found.token)) if time]
    return min(expiries, default=None), renew_at


def _problem(token: str) -> str | None:
    """Return why a parameter's value is not a token, None if it may be one."""
    if not token:
        return "is empty"
    if not _LEGAL.fullmatch(token):
        return "contains spaces, line breaks or other characters that a token must not contain"
    return "contains JSON instead of a token" if token.startswith(_JSON) else None


def _status_times(found: Found) -> tuple[datetime | None, datetime | None]:
    """Return ``expires_at`` and ``renew_at`` of the status if it is valid and describes this token."""
    with suppress(ValueError, TypeError, KeyError, RecursionError, OverflowError):
        status = json.loads(found.status or "null")
        described = status["schema"], status["parameter_version"], status["token_sha256"]
        if described == (STATUS_SCHEMA, found.version, Secret(found.token).fingerprint):
            return read_time(status["expires_at"]), read_time(status["renew_at"])
    return None, None

"""What was read of a token parameter and its status, made into a token that can be presented.

Pure: the texts come from a ParameterReader. A consumer reads other people's parameters too, so the status
may be missing, and what it tells is believed only if it speaks of exactly the token beside it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from rotator.errors import TokenUnavailable
from rotator.oauth import jwt
from rotator.oauth.models import Secret

STATUS_SCHEMA = 1
"""As the rotating side writes it (renewal/status.py)."""

_LEGAL = re.compile(r"[\x21-\x7e]+")  # what can stand in a header (RFC 6749, A.12, less the space)
_JSON = ("{", "[", '"')  # how an endpoint's whole answer begins, and no token (RFC 6750, 2.1)


@dataclass(frozen=True, kw_only=True)
class Found:
    """One answer of Parameter Store. ``read_at`` is when, by AWS's own clock; None where it did not say."""

    token: str = field(repr=False)
    version: int
    status: str | None = None
    read_at: datetime | None = None


class ParameterReader(Protocol):
    """Reads token and status of one parameter at once."""

    def __call__(self) -> Found:
        """Return what is stored now; raises TokenUnavailable if it cannot be read."""


@dataclass(frozen=True, kw_only=True)
class StoredToken:
    """A token as it was read. Times are UTC; None where nothing tells them."""

    value: str = field(repr=False)
    expires_at: datetime | None = None
    renew_at: datetime | None = None


def stored_token(parameter_name: str, found: Found) -> StoredToken:
    """Read the token and its end: by the status that names it or by its own ``exp``, whichever is earlier.

    Raises TokenUnavailable if the parameter does not hold what can go after ``Bearer``.
    """
    if not found.token:
        raise _not_a_token(parameter_name, "is empty")
    if not _LEGAL.fullmatch(found.token):
        raise _not_a_token(parameter_name, "holds spaces, line ends or other characters that no token has")
    if found.token.startswith(_JSON):
        raise _not_a_token(parameter_name, "holds JSON")
    expires_at, renew_at = _told_by_status(found)
    ends = [end for end in (expires_at, jwt.expiry(found.token)) if end]
    return StoredToken(value=found.token, expires_at=min(ends, default=None), renew_at=renew_at)


def _told_by_status(found: Found) -> tuple[datetime | None, datetime | None]:
    """``expires_at`` and ``renew_at`` of the status, if it speaks of this very token in words we know."""
    if found.status is None:
        return None, None
    try:
        status = json.loads(found.status)
        if status["schema"] != STATUS_SCHEMA or status["parameter_version"] != found.version:
            return None, None
        if status["token_sha256"] != Secret(found.token).fingerprint:
            return None, None
        return _time(status["expires_at"]), _time(status["renew_at"])
    except (ValueError, TypeError, KeyError, RecursionError, OverflowError):
        return None, None


def _time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError
    return time.astimezone(UTC)


def _not_a_token(parameter_name: str, what: str) -> TokenUnavailable:
    return TokenUnavailable(
        f"the parameter {parameter_name} {what}",
        advice="store exactly what goes after `Bearer ` in it, or read another parameter",
    )

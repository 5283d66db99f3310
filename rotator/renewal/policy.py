"""When a token is renewed, and when a failed renewal is an error: pure arithmetic on times.

A token is renewed in the last part of its lifetime, its renewal window. An outage of the endpoint affects
consumers only if it lasts longer than the whole window. certbot and cert-manager also renew after two thirds
of the lifetime.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache

from rotator.oauth.models import AccessToken
from rotator.renewal.durations import describe_seconds, format_time
from rotator.renewal.models import Result, Rotation, Status, Stored

JITTER = 0.02
"""The part of a lifetime over which renewals are spread, so that rotations are not all due at once."""

RUN_BUDGET_SECONDS = 60.0
"""The time of a run outside Lambda, and the function's default timeout."""

REFUSED_FACTOR = 10
"""A lifetime that exceeds the expected one by more than this factor is refused."""

SET_TOKEN_LIFETIME = "set TokenLifetime of the stack (ROTATOR_TOKEN_LIFETIME) if this lifetime is right"  # noqa: S105


@dataclass(frozen=True, kw_only=True)
class ExpectedLifetime:
    """The lifetimes in seconds that the settings lead to expect; multiple rotations may differ."""

    shortest: float
    longest: float

    def __str__(self) -> str:
        """Return the range in words."""
        longest = f" to {describe_seconds(self.longest)}" if self.longest > self.shortest else ""
        return f"{describe_seconds(self.shortest)}{longest}"

    def is_far_from(self, lifetime: float) -> bool:
        """Whether a lifetime is shorter than half the expected one, or longer than twice."""
        return not self.shortest / 2 <= lifetime <= self.longest * 2

    def is_exceeded_by(self, lifetime: float) -> bool:
        """Whether a lifetime is so long that its unit cannot be seconds."""
        return lifetime > self.longest * REFUSED_FACTOR


class TokenState(StrEnum):
    """The state of a stored token."""

    FRESH = "fresh"
    DUE = "due"
    EXPIRED = "expired"
    UNKNOWN = "unknown"
    MISSING = "missing"


def token_state(rotation: Rotation, stored: Stored, now: datetime) -> TokenState:
    """Return the state of the stored token. Everything but FRESH is renewed by the next run.

    UNKNOWN is a token whose status is missing, unreadable or names another version: the token may be valid,
    but its expiry is not known.
    """
    if not stored.token_version:
        return TokenState.MISSING
    status = stored.token_status
    if status is None:
        return TokenState.UNKNOWN
    if now >= status.expires_at:
        return TokenState.EXPIRED
    return TokenState.DUE if now >= due_at(rotation, status) else TokenState.FRESH


def due_at(rotation: Rotation, status: Status) -> datetime:
    """Return the time (UTC) from which the stored token is renewed.

    The earlier of two times counts, that of the settings and ``renew_at`` of the status: a forced renewal
    sets ``renew_at`` before it requests a token.
    """
    return min(status.renew_at, renewal_time(rotation, status))


def may_be_revoked(rotation: Rotation, stored: Stored, now: datetime) -> bool:
    """Whether a provider may have revoked the stored token because it issued one that was not published.

    A fresh token cannot be revoked in this way: a run that renews a fresh token makes it due first.
    """
    status = stored.token_status
    return stored.lease.may_be_revoked and (status is None or now >= due_at(rotation, status))


def fails_late(rotation: Rotation, stored: Stored, now: datetime) -> bool:
    """Whether a failure now is an error; in the first half of the renewal window it is a warning.

    A failure is always an error if the stored token has no status or may be revoked.
    """
    status = stored.token_status
    if status is None or may_be_revoked(rotation, stored, now):
        return True
    due = due_at(rotation, status)
    return now >= due + (status.expires_at - due) / 2


def renewal_time(rotation: Rotation, token: Status | AccessToken) -> datetime:
    """Return the time (UTC) from which a token is due: ``renew_at`` of its lifetime, less a stable jitter.

    The jitter only makes the time earlier, so the guaranteed remaining lifetime holds.
    """
    lifetime = token.expires_at - token.issued_at
    return token.issued_at + lifetime * (rotation.renew_at - JITTER * _spread(rotation.parameter_name))


@lru_cache(maxsize=16_384)
def _spread(parameter_name: str) -> float:
    """Return a number from 0 to 1 that depends on the name of the token parameter alone."""
    digest = hashlib.sha256(parameter_name.encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def asked_lifetime(rotation: Rotation) -> float | None:
    """Return the lifetime in seconds that the settings state or request: ``lifetime`` or ``expiration``."""
    if rotation.lifetime is not None:
        return float(rotation.lifetime)
    expiration = str(rotation.token_request_params.get("expiration"))
    return float(expiration) if expiration.isascii() and expiration.isdigit() else None


def outlook(failed: Result) -> str:
    """Return the effect of a failure on consumers, and the time of the next attempt."""
    seconds = failed.seconds_remaining
    if seconds is None:
        state = "the stored token's remaining lifetime is not known"
    elif failed.expires_at is None:
        state = "no token is stored"
    elif seconds <= 0:
        state = f"the stored token expired {describe_seconds(-seconds)} ago"
    else:
        state = f"the stored token is valid for another {describe_seconds(seconds)}"
    return f"{state}, next attempt by {format_time(failed.next_try)}" if failed.next_try else state

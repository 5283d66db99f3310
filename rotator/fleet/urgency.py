"""The order in which rotations are renewed, by this run or by the workers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from rotator.renewal.models import Rotation, Stored

_TOKEN, _EXPIRED_AFTER_FAILURE, _NO_TOKEN, _FAILED = range(4)
_BEGINNING = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Due:
    """A rotation to renew, and its stored state when the run found it due."""

    rotation: Rotation
    stored: Stored


def by_urgency(due: Iterable[Due], now: datetime) -> list[Due]:
    """Return the due rotations in the order of their renewal.

    1. Stored tokens by expiry, the soonest first; a token of unknown validity comes before all others.
    2. Expired tokens whose last renewal failed.
    3. Rotations that never had a token.
    4. Rotations whose last attempt failed recently, the earliest attempt first. A rotation that cannot be
       fixed must not delay the others.

    An attempt is recent for a quarter of the time between the attempt and the token's expiry. So a token that
    is still valid gets several attempts, and one that has expired gets fewer the longer ago it expired. While
    the expiry is unknown, the rotation stays in the last group.
    """
    return sorted(due, key=lambda each: _urgency(each.stored, now))


def _urgency(stored: Stored, now: datetime) -> tuple[int, datetime]:
    token, attempt = stored.token_status, stored.lease.last_attempt
    if attempt and (token is None or now < attempt.at + abs(token.expires_at - attempt.at) / 4):
        return _FAILED, attempt.at
    if not stored.token_version:
        return _NO_TOKEN, _BEGINNING
    if token is None:
        return _TOKEN, _BEGINNING
    failed = attempt and token.expires_at <= now
    return _EXPIRED_AFTER_FAILURE if failed else _TOKEN, token.expires_at

"""The order in which rotations are renewed, by this run or by the workers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum, auto

from rotator.renewal.models import Rotation, Stored

_BEGINNING = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Due:
    """A rotation to renew, and what was stored for it when it was found due."""

    rotation: Rotation
    stored: Stored


class _Rank(IntEnum):
    """The groups in the order of their turns."""

    TOKEN = auto()
    EXPIRED_AFTER_FAILURE = auto()
    NO_TOKEN = auto()
    FAILED = auto()


def by_urgency(due: Iterable[Due], now: datetime) -> list[Due]:
    """Return what is due in the order in which it is renewed: the soonest expiry first.

    An expired token and one of unknown validity come before that, and a rotation that never had a token after
    it. Last comes a rotation whose last attempt published no token, the longest since then first: what cannot
    be fixed takes nothing from the others. It comes last for a quarter of the time between that attempt and
    the token's expiry, so a token that is still valid has several turns. After its expiry it yields to tokens
    whose renewal has not failed, and its turns become rare.
    """
    return sorted(due, key=lambda each: _urgency(each.stored, now))


def _urgency(stored: Stored, now: datetime) -> tuple[_Rank, datetime]:
    token, attempt = stored.token_status, stored.lease.last_attempt
    if attempt and (token is None or now < attempt.at + abs(token.expires_at - attempt.at) / 4):
        return _Rank.FAILED, attempt.at
    if not stored.token_version:
        return _Rank.NO_TOKEN, _BEGINNING
    if token is None:
        return _Rank.TOKEN, _BEGINNING
    failed = attempt and token.expires_at <= now
    return _Rank.EXPIRED_AFTER_FAILURE if failed else _Rank.TOKEN, token.expires_at

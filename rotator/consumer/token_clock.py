"""How long a cached token is valid, even if clocks are wrong or jump.

A token's expiry is a time of day, and the clock of this machine may be wrong or jump. So a read also takes
the time of AWS's clock, and the remaining lifetime is counted from the later of the two times. From then on
it is counted by two clocks, whichever advances further: the steady clock, which never jumps, and the time of
day, which advances while a function is frozen. A wrong clock may cost a read or an error; it never extends a
token's lifetime.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from rotator.consumer.parse import Found

ACCURACY = timedelta(seconds=1)
"""The accuracy of the time in an answer of AWS: the Date header has whole seconds (RFC 9110, 6.6.1)."""

SPREAD = 0.2
"""The fraction of the renewal window over which the consumers of a parameter spread their reads."""

_SINCE_BOOT = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", None))
"""The steady clock that includes a laptop's sleep: the first on Linux, the second on macOS."""


@dataclass(frozen=True, kw_only=True)
class Moment:
    """A point in time by two clocks of a machine: the time of day, and seconds that never go back."""

    now: datetime
    monotonic: float

    def seconds_since(self, other: Moment) -> float:
        """Return the seconds between two moments, by the clock that advanced further."""
        return max(self.monotonic - other.monotonic, (self.now - other.now).total_seconds())


def current_moment() -> Moment:
    """Return the current moment by the clocks of this machine."""
    steady = time.monotonic() if _SINCE_BOOT is None else time.clock_gettime(_SINCE_BOOT)
    return Moment(now=datetime.now(UTC), monotonic=steady)


class Need(StrEnum):
    """How urgently a token must be read again: not at all, in the background, soon, or before its use."""

    NOTHING = "nothing"
    REFRESH_AHEAD = "refresh ahead"
    REFRESH_NOW = "refresh now"
    REPLACEMENT = "replacement"


@dataclass(frozen=True, kw_only=True)
class CachedToken:
    """A cached token; durations are in seconds.

    Attributes:
        lifetime: The remaining lifetime when it was read.
        refresh_after: The age at which it is read again in the background. By then about half of the renewal
            window has passed, so the rotator has usually renewed the token.
        margin: The last part of the lifetime, in which the token is used only if no other can be read.
    """

    value: str = field(repr=False)
    read_at: Moment
    lifetime: float
    refresh_after: float
    margin: float

    def remaining(self, moment: Moment) -> float:
        """Return the remaining lifetime in seconds; negative once it has expired."""
        return self.lifetime - moment.seconds_since(self.read_at)

    def need(self, moment: Moment) -> Need:
        """Return how urgent the next read is."""
        remaining = self.remaining(moment)
        if remaining <= 0:
            return Need.REPLACEMENT
        if remaining <= self.margin:
            return Need.REFRESH_NOW
        is_old = self.lifetime - remaining >= self.refresh_after
        return Need.REFRESH_AHEAD if is_old else Need.NOTHING


def cached_token(  # noqa: PLR0913 - options by name
    found: Found,
    *,
    expires_at: datetime | None,
    renew_at: datetime | None,
    requested_at: Moment,
    margin: float,
    ttl: float,
    spread: float,
) -> CachedToken:
    """Return the token that was read, with the times at which it is read again.

    Args:
        found: The answer of Parameter Store.
        expires_at: When the token expires, None if unknown.
        renew_at: When the token is renewed, None if unknown.
        requested_at: When the read began.
        margin: See CachedToken. At most a quarter of the remaining lifetime is used: with a margin as long
            as the lifetime every call would read.
        ttl: The lifetime in seconds of a token whose expiry is unknown.
        spread: From 0 to 1: when this consumer reads, within the period over which all spread their reads.
    """
    if expires_at is None:
        return CachedToken(
            value=found.token, read_at=requested_at, lifetime=ttl, refresh_after=0.9 * ttl, margin=0
        )
    start = max(requested_at.now, found.read_at + ACCURACY) if found.read_at else requested_at.now
    lifetime = (expires_at - start).total_seconds()
    margin = min(margin, lifetime / 4)
    window = (expires_at - renew_at).total_seconds() if renew_at else lifetime / 3
    before_expiry = window * (0.5 + SPREAD * (spread - 0.5))
    # A token that was read late in its window is read again after a quarter of its remaining lifetime.
    refresh_after = lifetime - before_expiry if lifetime > before_expiry else lifetime / 4
    return CachedToken(
        value=found.token,
        read_at=requested_at,
        lifetime=lifetime,
        refresh_after=min(refresh_after, lifetime - 2 * margin),
        margin=margin,
    )

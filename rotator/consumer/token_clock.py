"""For how long a copy of a token is good, whatever the clocks do meanwhile.

A token's end is a time of day, and the clock of this machine may be wrong or jump. So when a token is read,
AWS's own clock is asked, too, and what the token has left is by the one that is ahead. From then on it is
counted by two clocks, whichever goes further: the steady one, which never jumps, and the time of day, which
goes on while a function is frozen. A clock may cost a read or an error; it never makes a token live longer.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from rotator.consumer.parse import StoredToken

ACCURACY = timedelta(seconds=1)
"""Of the time that an answer of AWS tells: the header Date has whole seconds (RFC 9110, 6.6.1)."""


SPREAD = 0.2
"""The part of the renewal window over which consumers of one parameter spread their reads."""

_SINCE_BOOT = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", None))
"""The steady clock that counts a laptop's sleep, too: the first on Linux, the second on macOS."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


def _steady() -> float:
    return time.monotonic() if _SINCE_BOOT is None else time.clock_gettime(_SINCE_BOOT)


@dataclass(frozen=True, kw_only=True)
class Clock:
    """The clocks of a machine: the time of day, and seconds that only ever grow."""

    now: Callable[[], datetime] = _utc_now
    monotonic: Callable[[], float] = _steady


@dataclass(frozen=True, kw_only=True)
class Moment:
    """A point in time by both clocks."""

    now: datetime
    monotonic: float

    @classmethod
    def of(cls, clock: Clock) -> Moment:
        """Take the time."""
        return cls(now=clock.now(), monotonic=clock.monotonic())

    def seconds_since(self, other: Moment) -> float:
        """Seconds that have passed, by the clock that went further."""
        return max(self.monotonic - other.monotonic, (self.now - other.now).total_seconds())


class Need(StrEnum):
    """What a copy needs."""

    NOTHING = "nothing"
    REFRESH_AHEAD = "refresh ahead"
    REFRESH_NOW = "refresh now"
    REPLACEMENT = "replacement"


@dataclass(frozen=True, kw_only=True)
class Copy:
    """A token in memory. ``life`` is the seconds that it had left when it was read.

    It is refreshed ahead of need once about half of the renewal window is gone, by when the rotator has
    renewed it if all is well; and it is not presented in its last ``margin`` seconds if that can be helped.
    """

    token: str = field(repr=False)
    read_at: Moment
    life: float
    ahead_after: float
    margin: float

    def left(self, moment: Moment) -> float:
        """Seconds of life that are left; negative when it has ended."""
        return self.life - moment.seconds_since(self.read_at)

    def need(self, moment: Moment) -> Need:
        """What it needs at this moment."""
        left = self.left(moment)
        if left <= 0:
            return Need.REPLACEMENT
        if left <= self.margin:
            return Need.REFRESH_NOW
        return Need.REFRESH_AHEAD if self.life - left >= self.ahead_after else Need.NOTHING


def copy_of(
    stored: StoredToken,
    *,
    asked_at: Moment,
    told_at: datetime | None,
    margin: float,
    ttl: float,
    spread: float,
) -> Copy:
    """Make a copy of what was read.

    ``asked_at`` is when the read began, ``told_at`` AWS's time of its answer. A token whose end nobody tells
    is kept for ``ttl`` seconds and no longer. The margin takes a quarter of what is left at the most: one as
    long as the life would have every call read again. ``spread``, from 0 to 1, is what keeps a fleet of
    consumers from reading all at once.
    """
    if stored.expires_at is None:
        return Copy(token=stored.value, read_at=asked_at, life=ttl, ahead_after=0.9 * ttl, margin=0)
    at = max(asked_at.now, told_at + ACCURACY) if told_at else asked_at.now
    life = (stored.expires_at - at).total_seconds()
    margin = min(margin, life / 4)
    window = (stored.expires_at - stored.renew_at).total_seconds() if stored.renew_at else life / 3
    ahead = window * (0.5 + SPREAD * (spread - 0.5))
    ahead_after = life - ahead if life > ahead else life / 4
    return Copy(
        token=stored.value,
        read_at=asked_at,
        life=life,
        ahead_after=min(ahead_after, life - 2 * margin),
        margin=margin,
    )

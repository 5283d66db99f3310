"""The write rate: an account's quota for PutParameter is a few calls per second, shared by all its callers.

A renewal makes three writes. All three are counted when the renewal begins, because an issued token must be
stored without delay.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from threading import Lock

WRITES_PER_RENEWAL = 3
"""Lease, token, status."""

MIN_WRITES_PER_SECOND = 0.5
"""The lowest rate to which throttling reduces it: one renewal every six seconds."""

MAX_INITIAL_WRITES_PER_SECOND = 30.0
"""The highest rate to begin with, even if more is configured: the first seconds show the real quota."""

SETTLING_SECONDS = 1.0
"""How long at least no renewal begins after a throttled write."""


class WriteRate:
    """Limits the writes per second, and lowers the limit for a while after AWS throttled a write.

    All runs of a process share one. ``per_second`` is the configured limit, infinity for none, and ``clock``
    returns seconds that never go back.
    """

    def __init__(self, per_second: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._full = per_second
        self._rate = per_second if math.isinf(per_second) else min(per_second, MAX_INITIAL_WRITES_PER_SECOND)
        self._clock = clock
        self._lock = Lock()
        self._next_renewal = self._slowed_until = -math.inf

    def delay(self) -> float:
        """Return the seconds until another renewal may begin."""
        with self._lock:
            return max(0.0, self._next_renewal - self._clock())

    def count_renewal(self) -> None:
        """Count the three writes of a renewal that begins now."""
        with self._lock:
            self._rate = min(self._full, self._rate * 1.25)
            self._next_renewal = max(self._clock(), self._next_renewal) + WRITES_PER_RENEWAL / self._rate

    def slow_down(self) -> None:
        """Halve the rate, and begin no renewal for a while, because AWS throttled a write.

        Writes that AWS throttles within the time of one renewal count once: they come from concurrent calls
        and from the SDK's own retries. Each renewal raises the rate again by a quarter.
        """
        with self._lock:
            now = self._clock()
            if now < self._slowed_until:
                return
            self._rate = max(self._rate / 2, min(self._full, MIN_WRITES_PER_SECOND))
            self._slowed_until = now + max(SETTLING_SECONDS, WRITES_PER_RENEWAL / self._rate)
            self._next_renewal = max(self._next_renewal, self._slowed_until)

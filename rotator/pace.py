"""The pace of writes: PutParameter is the scarce resource, a few calls a second for a whole account.

A renewal takes three writes. They are paced where it begins, all three at once: a token, once it is issued,
must not wait to be stored.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from threading import Lock

WRITES_PER_RENEWAL = 3
"""Claim, token, status."""

SLOWEST = 0.5
"""Writes a second to which throttling slows it down at the most: a renewal in six seconds."""

QUICKEST_START = 30.0
"""Writes a second to begin with, whatever is allowed: what a quota is shows in the first seconds."""

SETTLING = 1.0
"""Seconds without a new renewal after a refusal, at the least."""


class Pace:
    """Lets so many writes a second begin, and fewer for a while after AWS refused one as too many.

    All threads of a process share it; it goes on from one run to the next. ``clock`` gives seconds that
    never go back.
    """

    def __init__(
        self,
        per_second: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._full = per_second
        self._rate = per_second if math.isinf(per_second) else min(per_second, QUICKEST_START)
        self._clock = clock
        self._sleep = sleep
        self._lock = Lock()
        self._next_renewal = self._slowed_until = -math.inf

    def wait_for_renewal(self, at_most: float) -> bool:
        """Wait until the three writes of another renewal fit, and count them.

        Returns False at once, and counts nothing, if that would take longer than so many seconds.
        """
        with self._lock:
            now = self._clock()
            wait = self._next_renewal - now
            if wait > at_most:
                return False
            self._rate = min(self._full, self._rate * 1.25)
            self._next_renewal = max(now, self._next_renewal) + WRITES_PER_RENEWAL / self._rate
        if wait > 0:
            self._sleep(wait)
        return True

    def give_back(self) -> None:
        """Take back what was counted for a renewal that ended before its first write."""
        with self._lock:
            earlier = self._next_renewal - WRITES_PER_RENEWAL / self._rate
            self._next_renewal = max(self._slowed_until, earlier)

    def slow_down(self) -> None:
        """Halve the rate, and begin no renewal for a while: AWS answered that there were too many writes.

        Refusals within the time that a renewal's writes take are one and the same: those of calls that were
        under way together, and of the SDK's further tries. Each renewal brings a part of the rate back.
        """
        with self._lock:
            now = self._clock()
            if now < self._slowed_until:
                return
            self._rate = max(self._rate / 2, min(self._full, SLOWEST))
            self._slowed_until = now + max(SETTLING, WRITES_PER_RENEWAL / self._rate)
            self._next_renewal = max(self._next_renewal, self._slowed_until)


UNPACED = Pace(float("inf"))
"""For worlds without a quota."""

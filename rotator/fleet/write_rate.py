"""The rate of writes: PutParameter is the scarce resource, a few calls a second for a whole account.

A renewal takes three writes. They are counted where it begins, all three at once: a token, once it is issued,
must not wait to be stored.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from threading import Lock

WRITES_PER_RENEWAL = 3
"""Lease, token, status."""

MIN_WRITES_PER_SECOND = 0.5
"""Writes a second to which throttling slows it down at most: a renewal in six seconds."""

MAX_INITIAL_WRITES_PER_SECOND = 30.0
"""Writes a second to begin with, whatever is allowed: what a quota is shows in the first seconds."""

SETTLING_SECONDS = 1.0
"""Without a new renewal after a throttled write, at least."""


class WriteRate:
    """Limits the writes a second, more so for a while after AWS throttled one.

    All runs of a process share it. ``clock`` gives seconds that never go back.
    """

    def __init__(self, per_second: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._full = per_second
        self._rate = per_second if math.isinf(per_second) else min(per_second, MAX_INITIAL_WRITES_PER_SECOND)
        self._clock = clock
        self._lock = Lock()
        self._next_renewal = self._slowed_until = -math.inf

    def delay(self) -> float:
        """Return the seconds until the three writes of another renewal fit."""
        with self._lock:
            return max(0.0, self._next_renewal - self._clock())

    def count_renewal(self) -> None:
        """Count the three writes of a renewal that begins now."""
        with self._lock:
            self._rate = min(self._full, self._rate * 1.25)
            self._next_renewal = max(self._clock(), self._next_renewal) + WRITES_PER_RENEWAL / self._rate

    def slow_down(self) -> None:
        """Halve the rate, and begin no renewal for a while: AWS answered that there were too many writes.

        Answers within the time that a renewal's writes take count once: they come from calls that were under
        way together, and from the SDK's own retries. Each renewal brings a part of the rate back.
        """
        with self._lock:
            now = self._clock()
            if now < self._slowed_until:
                return
            self._rate = max(self._rate / 2, min(self._full, MIN_WRITES_PER_SECOND))
            self._slowed_until = now + max(SETTLING_SECONDS, WRITES_PER_RENEWAL / self._rate)
            self._next_renewal = max(self._next_renewal, self._slowed_until)

"""Virtual time: events in their order, and processes that sleep as if on a machine of their own.

Processes are greenlets, so that the job runs as it is written, call after call, while another run
of it goes on between any two of its calls. There is one thread and no real clock: the same
events give the same order, every time.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count

from greenlet import getcurrent, greenlet

START = datetime(2026, 1, 1, tzinfo=UTC)


class Timeline:
    """The time since START in seconds, and what is to happen."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._events: list[tuple[float, int, Callable[[], object]]] = []
        self._numbers = count()
        self._hub = getcurrent()

    def now(self) -> datetime:
        """The time of day, for those who have a clock."""
        return START + timedelta(seconds=self.seconds)

    def at(self, when: float, what: Callable[[], object]) -> None:
        """Let something happen then; of two things at the same time, the one said first comes first."""
        heapq.heappush(self._events, (when, next(self._numbers), what))

    def start_at(self, when: float, process: Callable[[], None]) -> None:
        """Start a process then: what may sleep."""
        self.at(when, lambda: greenlet(process, self._hub).switch())

    def sleep(self, seconds: float) -> None:
        """Let time pass in the process that calls this; others go on meanwhile."""
        wake = self.seconds + seconds
        if not self._events or self._events[0][0] > wake:
            self.seconds = wake  # nothing else happens until then
            return
        self.at(wake, getcurrent().switch)
        self.leave()

    def leave(self) -> None:
        """Let the process that calls this stop until an event goes on with it."""
        self._hub.switch()

    def run_until(self, end: float) -> None:
        """Let everything happen that is to happen by then."""
        self._hub = getcurrent()
        while self._events and self._events[0][0] <= end:
            self.seconds, _, what = heapq.heappop(self._events)
            what()
        self.seconds = max(self.seconds, end)

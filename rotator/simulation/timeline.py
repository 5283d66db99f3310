"""Virtual time: events in order, and processes that sleep without blocking each other.

Processes are greenlets, so that the job runs unchanged, while another run may continue between any two of its
calls. There is one thread and no real clock, so the same events always happen in the same order.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count

from greenlet import getcurrent, greenlet

START = datetime(2026, 1, 1, tzinfo=UTC)


class Timeline:
    """The time since START in seconds, and the pending events."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._events: list[tuple[float, int, Callable[[], object]]] = []
        self._numbers = count()
        self._hub = getcurrent()

    def now(self) -> datetime:
        """Return the time (UTC)."""
        return START + timedelta(seconds=self.seconds)

    def at(self, when: float, event: Callable[[], object]) -> None:
        """Schedule an event; events of the same time happen in the order of these calls."""
        heapq.heappush(self._events, (when, next(self._numbers), event))

    def start_at(self, when: float, process: Callable[[], None]) -> None:
        """Start a process at a time; unlike an event, it may sleep."""
        self.at(when, lambda: greenlet(process, self._hub).switch())

    def sleep(self, seconds: float) -> None:
        """Let time pass in the calling process, while other processes continue."""
        wake = self.seconds + seconds
        if not self._events or self._events[0][0] > wake:
            self.seconds = wake  # nothing else happens until then
            return
        self.at(wake, getcurrent().switch)
        self._hub.switch()

    def run_until(self, end: float) -> None:
        """Let all events up to a time happen."""
        self._hub = getcurrent()
        while self._events and self._events[0][0] <= end:
            self.seconds, _, event = heapq.heappop(self._events)
            event()
        self.seconds = max(self.seconds, end)

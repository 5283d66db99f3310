"""A circuit breaker per token endpoint: an endpoint that is unavailable costs a run a few requests, not all.

Closed, it lets every renewal begin. Open, it lets none begin. Half-open, it lets one begin at a time, to find
out whether the endpoint answers. That is how it begins.
https://learn.microsoft.com/en-us/azure/architecture/patterns/circuit-breaker
"""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import Enum, auto

from rotator.errors import TokenEndpointUnavailable

FAILURES_TO_OPEN = 3
"""Failures in a row that open it: the first may be due to the clients, and not to the endpoint."""

COOL_DOWN_SECONDS = 15.0
"""For which it stays open."""


class State(Enum):
    """What a circuit breaker lets begin."""

    CLOSED = auto()
    OPEN = auto()
    HALF_OPEN = auto()


class CircuitBreaker:
    """The circuit breaker of one endpoint. ``clock`` gives seconds that never go back.

    ``error`` is why the endpoint is unavailable, as far as its last renewal shows.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.error: TokenEndpointUnavailable | None = None
        self._clock = clock
        self._state = State.HALF_OPEN
        self._failures = 0
        self._running = 0
        self._open_until = 0.0

    @property
    def state(self) -> State:
        """The state by now."""
        if self._state is State.OPEN and self._clock() >= self._open_until:
            self._state = State.HALF_OPEN
        return self._state

    def allows(self) -> bool:
        """Whether a renewal may begin now."""
        return self.state is State.CLOSED or (self.state is State.HALF_OPEN and self._running == 0)

    def begin(self) -> None:
        """Count a renewal that begins."""
        self._running += 1

    def end(self, *, answered: bool, error: TokenEndpointUnavailable | None = None) -> None:
        """Count the end of a renewal: its request was answered, failed with an error, or was never sent."""
        self._running -= 1
        if answered:
            self._state, self._failures, self.error = State.CLOSED, 0, None
        elif error:
            self._failures += 1
            self.error = error
            if not error.retryable:  # such as a proxy's 407, by which an account may be locked
                self._state, self._open_until = State.OPEN, math.inf
            elif self._failures >= FAILURES_TO_OPEN:
                self._state, self._open_until = State.OPEN, self._clock() + COOL_DOWN_SECONDS

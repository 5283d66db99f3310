"""A circuit breaker per token endpoint, so that a run sends few requests to an unavailable endpoint.

A closed circuit breaker lets every renewal begin, and an open one lets none begin. A half-open one lets one
renewal begin at a time, to find out whether the endpoint answers. A new circuit breaker is half-open.
https://learn.microsoft.com/en-us/azure/architecture/patterns/circuit-breaker
"""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import Enum, auto

from rotator.errors import TokenEndpointUnavailable

FAILURES_TO_OPEN = 3
"""Consecutive failures that open a circuit breaker: a single one may be due to its client."""

COOL_DOWN_SECONDS = 15.0
"""How long a circuit breaker stays open."""


class State(Enum):
    """The state of a circuit breaker."""

    CLOSED = auto()
    OPEN = auto()
    HALF_OPEN = auto()


class CircuitBreaker:
    """The circuit breaker of one endpoint, and the ``error`` of its last request if that was not answered.

    ``clock`` returns seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.error: TokenEndpointUnavailable | None = None
        self._clock = clock
        self._is_closed = False
        self._open_until = -math.inf
        self._failures = 0
        self._running = 0

    @property
    def state(self) -> State:
        """The current state."""
        if self._is_closed:
            return State.CLOSED
        return State.OPEN if self._clock() < self._open_until else State.HALF_OPEN

    def allows(self) -> bool:
        """Return whether a renewal may begin now."""
        return self.state is State.CLOSED or (self.state is State.HALF_OPEN and self._running == 0)

    def begin(self) -> None:
        """Record that a renewal begins."""
        self._running += 1

    def end(self, *, answered: bool, error: TokenEndpointUnavailable | None = None) -> None:
        """Record the end of a renewal: its request was answered, failed with an error, or was never sent."""
        self._running -= 1
        if answered:
            self._is_closed, self._failures, self.error = True, 0, None
        elif error:
            self._failures += 1
            self.error = error
            if not error.retryable:  # such as a proxy's 407: repeating it may lock the account
                self._is_closed, self._open_until = False, math.inf
            elif self._failures >= FAILURES_TO_OPEN:
                self._is_closed, self._open_until = False, self._clock() + COOL_DOWN_SECONDS

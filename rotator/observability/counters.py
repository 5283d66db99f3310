"""Counters of a run's requests and throttled writes: adapters increment them, metrics report them."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock


@dataclass(frozen=True, kw_only=True)
class Counts:
    """The counts of one run, without its probes of ``verify_url``.

    ``token_request_attempts`` includes the retries of token requests. ``throttled_writes`` counts the answers
    of PutParameter that the rate was exceeded, including those after which a retry of the SDK succeeded.
    """

    token_requests: int = 0
    token_request_attempts: int = 0
    throttled_writes: int = 0


class Counters:
    """Counters that several threads may increment at the same time."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._counts = Counts()

    def add(
        self, *, token_requests: int = 0, token_request_attempts: int = 0, throttled_writes: int = 0
    ) -> None:
        """Add to the counts."""
        with self._lock:
            self._counts = Counts(
                token_requests=self._counts.token_requests + token_requests,
                token_request_attempts=self._counts.token_request_attempts + token_request_attempts,
                throttled_writes=self._counts.throttled_writes + throttled_writes,
            )

    def take(self) -> Counts:
        """Return the counts, and reset them to zero."""
        with self._lock:
            counts, self._counts = self._counts, Counts()
            return counts

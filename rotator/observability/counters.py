"""Counters of a run's requests and throttled writes: adapters increment them, metrics report them."""

from __future__ import annotations

from collections import Counter
from threading import Lock


class Counters:
    """Counts by the name of their metric, which several threads may increment at the same time."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._counts: Counter[str] = Counter()

    def add(
        self, *, token_requests: int = 0, token_request_attempts: int = 0, throttled_writes: int = 0
    ) -> None:
        """Add to the counts, without probes of ``verify_url``.

        The attempts include the retries of token requests. Throttled writes are the answers of PutParameter
        that the rate was exceeded, including those after which a retry of the SDK succeeded.
        """
        with self._lock:
            self._counts["TokenRequests"] += token_requests
            self._counts["TokenRequestAttempts"] += token_request_attempts
            self._counts["ThrottledWrites"] += throttled_writes

    def take(self) -> Counter[str]:
        """Return the counts, and reset them to zero."""
        with self._lock:
            counts, self._counts = self._counts, Counter()
            return counts

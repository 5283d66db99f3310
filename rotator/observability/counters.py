"""What a run used of the world around it: counted by the adapters, told by telemetry."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock


@dataclass(frozen=True, kw_only=True)
class Counts:
    """The counts of one run; a probe of ``verify_url`` is not among them.

    ``token_requests`` took ``token_request_attempts``: each try to send one, retries included.
    ``throttled_writes`` are PutParameter's answers that the account's rate was exceeded, also those that
    the SDK mended by trying again.
    """

    token_requests: int = 0
    token_request_attempts: int = 0
    throttled_writes: int = 0


class Counters:
    """Counts what several threads use at once."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._counts = Counts()

    def add(
        self, *, token_requests: int = 0, token_request_attempts: int = 0, throttled_writes: int = 0
    ) -> None:
        """Count so many more."""
        with self._lock:
            self._counts = Counts(
                token_requests=self._counts.token_requests + token_requests,
                token_request_attempts=self._counts.token_request_attempts + token_request_attempts,
                throttled_writes=self._counts.throttled_writes + throttled_writes,
            )

    def take(self) -> Counts:
        """Return what was counted, and begin anew."""
        with self._lock:
            counts, self._counts = self._counts, Counts()
            return counts

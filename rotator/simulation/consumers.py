"""The consumers, of whom there is one for every moment: somebody reads the parameter just then.

Each keeps what it read for as long as consumers were promised that they may. A second counts once,
however many of them present a dead token in it. On a 401, as a provider gives it for a token that it
ended early, they read the parameter again, as the README tells them to.
"""

from __future__ import annotations

from dataclasses import dataclass

from rotator.simulation.provider import Issued


@dataclass(frozen=True, kw_only=True)
class Published:
    """A token's time in the parameter, in seconds since the beginning."""

    token: Issued
    since: float
    until: float


class Consumers:
    """What consumers had, and when it was dead."""

    def __init__(self, cache: float) -> None:
        self._cache = cache
        self._current: tuple[Issued, float] | None = None
        self._counted_until = 0.0
        self.history: list[Published] = []
        self.expired_seconds = 0.0
        self.revoked_seconds = 0.0
        self.least_remaining_life: float | None = None

    def receive(self, token: Issued, now: float) -> None:
        """Another token stands in the parameter from now on; those who just read keep the old one."""
        self._end_current(now, now + self._cache)
        self._current = (token, now)

    def close(self, now: float) -> None:
        """Count what remains to be counted at the end."""
        self._end_current(now, now)
        self._current = None

    def _end_current(self, now: float, kept_until: float) -> None:
        if self._current is None:
            return
        token, since = self._current
        self.history.append(Published(token=token, since=since, until=now))
        left = token.ends_at - now
        if self.least_remaining_life is None or left < self.least_remaining_life:
            self.least_remaining_life = left
        dead_from = max(token.ends_at, since, self._counted_until)
        if kept_until > dead_from:
            self.expired_seconds += kept_until - dead_from
            self._counted_until = kept_until
        if token.revoked_at is not None:
            self.revoked_seconds += max(0.0, min(now, token.ends_at) - max(token.revoked_at, since))

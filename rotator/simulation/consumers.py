"""The consumers: at every moment one of them reads the parameter, and caches the token as long as it may.

A second in which consumers present an expired token counts once, for any number of consumers. A consumer that
receives a 401 because the provider revoked the token reads the parameter again.
"""

from __future__ import annotations

from dataclasses import dataclass

from rotator.simulation.provider import IssuedToken


@dataclass(frozen=True, kw_only=True)
class Published:
    """A token, and when it was in the parameter, in seconds since the beginning."""

    token: IssuedToken
    since: float
    until: float

    @property
    def remaining(self) -> float:
        """The token's remaining lifetime in seconds when another one replaced it."""
        return self.token.expires_at - self.until


class Consumers:
    """The tokens that consumers cached for ``cache`` seconds, and how long these were expired or revoked."""

    def __init__(self, cache: float) -> None:
        self._cache = cache
        self._current: tuple[IssuedToken, float] | None = None
        self._counted_until = 0.0
        self.history: list[Published] = []
        self.expired_seconds = 0.0
        self.revoked_seconds = 0.0

    @property
    def least_remaining_seconds(self) -> float | None:
        """The least remaining lifetime of a token in the parameter, None if none was ever published."""
        return min((published.remaining for published in self.history), default=None)

    def receive(self, token: IssuedToken, now: float) -> None:
        """Replace the token in the parameter; consumers that have just read the old one keep it cached."""
        self._end_current(now, now + self._cache)
        self._current = token, now

    def close(self, now: float) -> None:
        """Count the seconds of the last token, at the end of the simulation."""
        self._end_current(now, now)
        self._current = None

    def _end_current(self, now: float, kept_until: float) -> None:
        if self._current is None:
            return
        token, since = self._current
        self.history.append(Published(token=token, since=since, until=now))
        expired_from = max(token.expires_at, since, self._counted_until)
        if kept_until > expired_from:
            self.expired_seconds += kept_until - expired_from
            self._counted_until = kept_until
        if token.revoked_at is not None:
            self.revoked_seconds += max(0.0, min(now, token.expires_at) - max(token.revoked_at, since))

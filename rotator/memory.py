"""What a process remembers from one run to the next; nothing depends on it but who is served first."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from rotator.errors import RotatorError
from rotator.hosts import host_of

STAYS_DOWN = timedelta(seconds=45)
"""For so long what was down is not contacted again: workers are given ten rotations after another."""


@dataclass(frozen=True, kw_only=True)
class Down:
    """A token endpoint, or its whole host, that did not serve a contact at that time (UTC), and why."""

    at: datetime
    error: RotatorError


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Trouble, and what was done about it.

    ``troubled`` tells of rotations that failed when they were last tried when that was (UTC); ``down``, by
    address or host, of endpoints; ``handed_over`` the versions that statuses had when a tick handed their
    rotations to the workers.
    """

    troubled: dict[str, datetime] = field(default_factory=dict)
    down: dict[str, Down] = field(default_factory=dict)
    handed_over: dict[str, int] = field(default_factory=dict)

    def forget_all_but(self, names: Collection[str]) -> None:
        """Forget trouble with rotations that there are no more."""
        for name in self.troubled.keys() - names:
            del self.troubled[name]

    def remember_down(self, endpoint: str, error: RotatorError, now: datetime, *, whole_host: bool) -> None:
        """Remember that an endpoint did not serve a contact, and why, or that its whole host did not."""
        # A copy: the error itself would keep all that its run had at hand.
        told = error.at("not requested, since a moment ago")
        self.down[host_of(endpoint) if whole_host else endpoint] = Down(at=now, error=told)

    def why_down(self, endpoint: str) -> RotatorError | None:
        """Return why this endpoint was found down, if it was."""
        for place in (endpoint, host_of(endpoint)):
            if place in self.down:
                return self.down[place].error.again()
        return None

    def forget_down(self, endpoint: str) -> None:
        """Forget that it was down, since it has answered."""
        for place in (endpoint, host_of(endpoint)):
            self.down.pop(place, None)

    def forget_what_was_down(self, now: datetime) -> None:
        """Forget all that was longer ago than STAYS_DOWN."""
        for place, down in list(self.down.items()):
            if not timedelta(0) <= now - down.at < STAYS_DOWN:
                self.down.pop(place, None)

    def remember_handed_over(self, versions: Mapping[str, int]) -> None:
        """Remember what the last tick handed over, and nothing older."""
        self.handed_over.clear()
        self.handed_over.update(versions)

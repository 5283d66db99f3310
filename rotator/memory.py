"""What a process remembers from one run to the next; nothing depends on it but who is served first."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from rotator.errors import RotatorError


@dataclass(frozen=True, kw_only=True)
class Down:
    """A host of token endpoints that did not serve a contact at that time (UTC), and what was wrong."""

    at: datetime
    error: RotatorError


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Trouble, and what was done about it.

    ``troubled`` tells of rotations that failed when they were last tried when that was (UTC); ``down`` of
    hosts; ``handed_over`` the versions that statuses had when a tick handed their rotations to the workers.
    """

    troubled: dict[str, datetime] = field(default_factory=dict)
    down: dict[str, Down] = field(default_factory=dict)
    handed_over: dict[str, int] = field(default_factory=dict)

    def forget_all_but(self, names: Collection[str]) -> None:
        """Forget trouble with rotations that there are no more."""
        for name in self.troubled.keys() - names:
            del self.troubled[name]

    def remember_handed_over(self, versions: Mapping[str, int]) -> None:
        """Remember what the last tick handed over, and nothing older."""
        self.handed_over.clear()
        self.handed_over.update(versions)

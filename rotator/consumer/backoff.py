"""How long to leave Parameter Store alone after a read that brought nothing new."""

from __future__ import annotations

from dataclasses import dataclass, replace

from rotator.consumer.token_clock import Moment

FIRST = 0.02
LONGEST = 10.0
"""Seconds: hardly felt at first, and at last as long as a mended parameter may go unnoticed."""


@dataclass(frozen=True, kw_only=True)
class Pause:
    """A pause after ``reads`` in a row that brought nothing new; none after one that did."""

    since: Moment | None = None
    reads: int = 0

    def longer(self, moment: Moment) -> Pause:
        """Begin the next pause, twice as long as the one before."""
        return replace(self, since=moment, reads=self.reads + 1)

    def is_over(self, moment: Moment) -> bool:
        """Whether Parameter Store may be read again."""
        if self.since is None:
            return True
        seconds = min(LONGEST, FIRST * 2.0 ** min(self.reads, 20))
        return moment.seconds_since(self.since) >= seconds

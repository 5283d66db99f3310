"""The pause before the next read of Parameter Store after a read that returned no new token."""

from __future__ import annotations

from dataclasses import dataclass, replace

from rotator.consumer.token_clock import Moment

FIRST_SECONDS = 0.02
LONGEST_SECONDS = 10.0
"""The first pause hardly delays a request; the longest limits how late a corrected parameter is noticed."""


@dataclass(frozen=True, kw_only=True)
class Backoff:
    """The pause after n consecutive ``reads`` without a new token; there is none after a read with one."""

    since: Moment | None = None
    reads: int = 0

    def longer(self, moment: Moment) -> Backoff:
        """Return the next pause, which begins at this moment and is twice as long."""
        return replace(self, since=moment, reads=self.reads + 1)

    def is_over(self, moment: Moment) -> bool:
        """Return whether Parameter Store may be read again."""
        if self.since is None:
            return True
        seconds = min(LONGEST_SECONDS, FIRST_SECONDS * 2.0 ** min(self.reads, 20))
        return moment.seconds_since(self.since) >= seconds

"""A deadline, kept as a function that returns the remaining seconds."""

from __future__ import annotations

from collections.abc import Callable


class Deadline:
    """A fixed time on a monotonic clock."""

    def __init__(self, remaining: Callable[[], float]) -> None:
        """Take a function that returns the remaining seconds, negative after the deadline."""
        self.remaining = remaining

    def at_most(self, seconds: float) -> Deadline:
        """Return this deadline, or the time in n seconds if that is earlier."""
        return self.earlier_by(max(0.0, self.remaining() - seconds))

    def earlier_by(self, seconds: float) -> Deadline:
        """Return the deadline that is n seconds before this one."""
        return Deadline(lambda: self.remaining() - seconds)

"""A deadline: the time by which something must be over, as the seconds that remain until then."""

from __future__ import annotations

from collections.abc import Callable


class Deadline:
    """A time that does not move, on a clock that never goes back."""

    def __init__(self, remaining: Callable[[], float]) -> None:
        """Make a deadline from what returns the seconds until then, negative once it has passed."""
        self.remaining = remaining

    def at_most(self, seconds: float) -> Deadline:
        """Return this deadline, or the one in n seconds from now if that is sooner."""
        return self.earlier_by(max(0.0, self.remaining() - seconds))

    def earlier_by(self, seconds: float) -> Deadline:
        """Return the deadline that is n seconds before this one."""
        return Deadline(lambda: self.remaining() - seconds)

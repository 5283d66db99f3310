"""The results of rotations and of runs, with the state of the stored token after a failure."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime

from rotator.errors import NotReached, Retry, RotatorError, as_rotator_error
from rotator.renewal.durations import format_time, seconds_until
from rotator.renewal.models import Outcome, Result, Rotation, Stored, Summary
from rotator.renewal.policy import TokenState, fails_late, token_state
from rotator.renewal.ports import Run
from rotator.renewal.status import StatusNotWritten

MAX_NAMED_FAILURES = 10
"""The failures that a run's error names, late ones first: Lambda truncates long errors; the log has all."""

NO_TIME_LEFT = "the run's time ran out; the next run starts with the token that expires first"


def as_stored(rotation: Rotation, stored: Stored, outcome: Outcome, *, reason: str | None = None) -> Result:
    """Return the result of a rotation whose stored token and status are unchanged."""
    status = stored.token_status
    return Result(
        name=rotation.name,
        outcome=outcome,
        expires_at=status.expires_at if status else None,
        parameter_version=stored.token_version or None,
        lifetime=status.lifetime if status else None,
        reason=reason,
    )


def busy(rotation: Rotation, stored: Stored, held_until: datetime) -> Result:
    """Return the result of a rotation whose lease another run holds."""
    reason = f"another run holds the lease until {format_time(held_until)}"
    return as_stored(rotation, stored, Outcome.BUSY, reason=reason)


def failed(name: str, error: Exception, run: Run) -> Result:
    """Return a failure; it counts as late, because the state of the stored token is unknown."""
    known = as_rotator_error(error, f"rotation {name}")
    return Result(
        name=name,
        outcome=Outcome.FAILED,
        error=str(known),
        error_kind=type(known).__name__,
        advice=known.advice,
        late=True,
        next_try=run.next_run,
    )


def failed_with(rotation: Rotation, stored: Stored, error: Exception, run: Run) -> Result:
    """Return a failure of a rotation whose stored token and status were read.

    A fresh token whose renewal did not begin has no next attempt, because no later run forces it. (``rotate``
    sets one: it may have made the token due.)
    """
    if isinstance(error, StatusNotWritten):  # the new token is stored
        stored = replace(stored, status=error.status, token_version=error.status.parameter_version)
    status = stored.token_status
    issued = isinstance(error, RotatorError) and error.may_have_issued
    without_status = None if stored.token_version else 0  # None: unknown; 0: no token is stored
    now = run.now()
    return replace(
        failed(rotation.name, error, run),
        expires_at=status.expires_at if status else None,
        parameter_version=stored.token_version or None,
        lifetime=status.lifetime if status else None,
        late=issued or fails_late(rotation, stored, now),
        seconds_remaining=math.floor(seconds_until(status.expires_at, now)) if status else without_status,
        next_try=None if token_state(rotation, stored, now) is TokenState.FRESH else run.next_run,
    )


def postponed(rotation: Rotation, stored: Stored, run: Run) -> Result:
    """Return the result of a rotation for which the run had no time left: a failure if late or forced."""
    if run.force or fails_late(rotation, stored, run.now()):
        return failed_with(rotation, stored, NotReached(forced=run.force), run)
    return as_stored(rotation, stored, Outcome.BUSY, reason=NO_TIME_LEFT)


class RotationFailed(RotatorError):
    """At least one rotation of the run failed; ``summary`` holds every result."""

    def __init__(self, summary: Summary) -> None:
        failed = sorted((r for r in summary.results if r.error), key=lambda result: not result.late)
        named = [f"{result.name}: {result.error}" for result in failed[:MAX_NAMED_FAILURES]]
        if len(failed) > MAX_NAMED_FAILURES:
            named.append(f"and {len(failed) - MAX_NAMED_FAILURES} more")
        urgency = f"{summary.failed_late} failed late: act now" if summary.failed_late else "none failed late"
        super().__init__(
            f"{len(failed)} of {len(summary.results)} rotations failed: " + "\n  ".join(named),
            advice=f"{Retry.NEXT_RUN}; {urgency}",
        )
        self.summary = summary

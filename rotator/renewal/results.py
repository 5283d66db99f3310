"""Results of rotations and of runs: what a run reports, and what consumers still have after a failure."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime

from rotator.errors import NotReached, Retry, RotatorError, as_rotator_error
from rotator.renewal.durations import format_time, seconds_until
from rotator.renewal.models import Outcome, Result, Rotation, Stored, Summary
from rotator.renewal.policy import TokenState, fails_late, token_state
from rotator.renewal.status import StatusNotWritten

MAX_NAMED_FAILURES = 10
"""In the error of a run, late ones first: Lambda shortens long errors, and the log has all of them."""

NO_TIME_LEFT = "this run had no time left for it; the next one begins with what expires first"


def as_stored(rotation: Rotation, stored: Stored, outcome: Outcome, *, reason: str | None = None) -> Result:
    """Return an outcome that leaves what is stored as it was."""
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
    """Return the outcome of a rotation whose lease another run holds."""
    reason = f"another run may renew it until {format_time(held_until)}"
    return as_stored(rotation, stored, Outcome.BUSY, reason=reason)


def failed(name: str, error: Exception, next_try: datetime | None = None) -> Result:
    """Return a failure; as long as nothing is known of the stored token, it counts as a late one."""
    known = as_rotator_error(error, f"rotation {name}")
    return Result(
        name=name,
        outcome=Outcome.FAILED,
        error=str(known),
        error_kind=type(known).__name__,
        advice=known.advice,
        late=True,
        next_try=next_try,
    )


def failed_with(
    rotation: Rotation, stored: Stored, error: Exception, *, now: datetime, next_try: datetime | None = None
) -> Result:
    """Return a failure of a rotation of which it is known what is, or was, stored for it."""
    left = _stored_after(error, stored)
    status = left.token_status
    issued = isinstance(error, RotatorError) and error.may_have_issued
    return replace(
        failed(rotation.name, error, next_try),
        expires_at=status.expires_at if status else None,
        parameter_version=left.token_version or None,
        lifetime=status.lifetime if status else None,
        late=issued or fails_late(rotation, left, now),
        seconds_remaining=_seconds_remaining(left, now),
    )


def postponed(
    rotation: Rotation, stored: Stored, *, now: datetime, next_try: datetime, forced: bool = False
) -> Result:
    """Return the result of a rotation for which the run had no time left.

    It is a failure if it is late, or was forced: no later run forces it.
    """
    if forced or fails_late(rotation, stored, now):
        return not_begun(rotation, stored, NotReached(forced=forced), now=now, next_try=next_try)
    return as_stored(rotation, stored, Outcome.BUSY, reason=NO_TIME_LEFT)


def not_begun(
    rotation: Rotation, stored: Stored, error: RotatorError, *, now: datetime, next_try: datetime
) -> Result:
    """Return the failure of a rotation that was not begun; what was fresh and forced has no next try."""
    is_fresh = token_state(rotation, stored, now) is TokenState.FRESH
    return failed_with(rotation, stored, error, now=now, next_try=None if is_fresh else next_try)


def _stored_after(error: Exception, stored: Stored) -> Stored:
    """Return what is stored after a failure, as far as it is known."""
    if isinstance(error, StatusNotWritten):
        return replace(stored, status=error.status, token_version=error.status.parameter_version)
    return stored


def _seconds_remaining(stored: Stored, now: datetime) -> int | None:
    """Return the stored token's remaining lifetime: 0 if there is none, None if that is not known."""
    if stored.token_status:
        return math.floor(seconds_until(stored.token_status.expires_at, now))
    return None if stored.token_version else 0


class RotationFailed(RotatorError):
    """At least one rotation of the run failed; ``summary`` holds every outcome."""

    def __init__(self, summary: Summary) -> None:
        failed = sorted((r for r in summary.results if r.error), key=lambda result: not result.late)
        told = [f"{result.name}: {result.error}" for result in failed[:MAX_NAMED_FAILURES]]
        if len(failed) > MAX_NAMED_FAILURES:
            told.append(f"and {len(failed) - MAX_NAMED_FAILURES} more")
        urgency = (
            f"{summary.failed_late} late: act now" if summary.failed_late else "none late: there is time"
        )
        super().__init__(
            f"{len(failed)} of {len(summary.results)} rotations failed: " + "\n  ".join(told),
            advice=f"{Retry.NEXT_RUN}; {urgency}",
        )
        self.summary = summary

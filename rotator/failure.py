"""What a failed rotation tells: its reason, what consumers still have, and whether there is time."""

from __future__ import annotations

import logging
import math
import traceback
from dataclasses import replace
from datetime import datetime

from rotator.errors import NotReached, RotatorError, StatusNotWritten, TokenNotPublished
from rotator.model import Outcome, Result, Rotation, Stored
from rotator.policy import TokenState, fails_late, seconds_until, token_state
from rotator.rotation import as_stored

logger = logging.getLogger(__name__)

LEFT = "this run had no time left for it; the next one begins with what ends first"


def failed(name: str, error: RotatorError, next_try: datetime | None) -> Result:
    """A failure; as long as nothing is known of the stored token, it counts as a late one."""
    return Result(
        name=name,
        outcome=Outcome.FAILED,
        error=str(error),
        error_kind=type(error).__name__,
        late=True,
        next_try=next_try,
    )


def failed_with(
    rotation: Rotation, stored: Stored, error: Exception, *, now: datetime, next_try: datetime | None
) -> Result:
    """A failure of a rotation of which it is known what is, or was, stored for it."""
    foreseen = failed(rotation.name, _foreseen(error, rotation.name), next_try)
    left = _left_by(error, stored)
    status = left.trusted
    return replace(
        foreseen,
        expires_at=status.expires_at if status else None,
        parameter_version=left.token_version or None,
        lifetime=status.lifetime if status else None,
        late=fails_late(rotation, left, now) or isinstance(error, TokenNotPublished),
        seconds_remaining=_seconds_remaining(left, now),
    )


def left_over(
    rotation: Rotation, stored: Stored, *, now: datetime, next_try: datetime, forced: bool = False
) -> Result:
    """One that the run had no time left for. If it is late already, or was forced, that is a failure.

    No run comes to one that was forced and is not due.
    """
    if forced:
        is_fresh = token_state(rotation, stored, now) is TokenState.FRESH
        tried = None if is_fresh else next_try
        return failed_with(rotation, stored, NotReached(forced=True), now=now, next_try=tried)
    if fails_late(rotation, stored, now):
        return failed_with(rotation, stored, NotReached(), now=now, next_try=next_try)
    return as_stored(rotation, stored, Outcome.BUSY, note=LEFT)


def _foreseen(error: Exception, name: str) -> RotatorError:
    """An error of ours as it is; of any other only its type, because nobody knows what it quotes."""
    if isinstance(error, RotatorError):
        return error
    frames = "".join(traceback.format_tb(error.__traceback__))
    logger.error("unforeseen %s in rotation %s\n%s", type(error).__name__, name, frames)
    problem = f"unforeseen {type(error).__name__}"
    return RotatorError(problem, advice="report it with the log's traceback")


def _left_by(error: Exception, stored: Stored) -> Stored:
    """What is stored after a failure, as far as it is known."""
    if isinstance(error, StatusNotWritten):
        return replace(stored, status=error.status, token_version=error.status.parameter_version)
    return stored


def _seconds_remaining(stored: Stored, now: datetime) -> int | None:
    """What is left of the stored token's life: 0 if there is none, None if that is not known."""
    if stored.trusted:
        return math.floor(seconds_until(stored.trusted.expires_at, now))
    return None if stored.token_version else 0

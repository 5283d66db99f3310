"""The result of a failed rotation: its error, the remaining lifetime for consumers, and the urgency."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

import fake_ports
from fake_ports import DAY, START, rotation
from rotator.errors import CredentialsError, NotReached, ParameterStoreError, TokenNotPublished
from rotator.renewal import results
from rotator.renewal.deadline import Deadline
from rotator.renewal.models import Outcome, Result, Status, Stored
from rotator.renewal.ports import Run
from rotator.renewal.results import failed_with, postponed
from rotator.renewal.status import StatusNotWritten

ERROR = CredentialsError("the secret could not be read", advice="allow it")
NEXT = START + timedelta(minutes=5)
RUN = Run(id="run", now=lambda: START, deadline=Deadline(lambda: 60.0), budget=60, next_run=NEXT)
HOUR = timedelta(hours=1)
ROTATION = rotation(name="a")
UNKNOWN = Stored(token_version=3)


def status(hours_left: float, version: int = 3) -> Status:
    expires_at = START + hours_left * HOUR
    return Status(
        parameter_version=version,
        issued_at=expires_at - timedelta(days=1),
        expires_at=expires_at,
        renew_at=expires_at - 8 * HOUR,
        scope="*",
        token_sha256="0" * 16,
        secret_version_id="v1",
        rotator_version="0",
    )


def living(hours_left: float) -> Stored:
    return Stored(token_version=3, status_version=5, status=status(hours_left))


FAILED = Result(
    name="a",
    outcome=Outcome.FAILED,
    error="the secret could not be read; allow it",
    error_kind="CredentialsError",
    advice="allow it",
    late=True,
    next_try=NEXT,
)


def test_failure_without_token_information_is_late() -> None:
    assert results.failed("a", ERROR, RUN) == FAILED


@pytest.mark.parametrize(
    ("stored", "known"),
    [
        pytest.param(Stored(), {"seconds_remaining": 0}, id="there is no token"),
        pytest.param(UNKNOWN, {"parameter_version": 3}, id="there is one of which nothing is known"),
        pytest.param(
            living(6),
            {
                "parameter_version": 3,
                "expires_at": START + 6 * HOUR,
                "lifetime": DAY,
                "late": False,
                "seconds_remaining": 6 * 3600,
            },
            id="it is valid",
        ),
        pytest.param(
            living(-1),
            {
                "parameter_version": 3,
                "expires_at": START - HOUR,
                "lifetime": DAY,
                "seconds_remaining": -3600,
            },
            id="it is dead",
        ),
    ],
)
def test_failure_includes_the_known_token_fields(stored: Stored, known: dict[str, object]) -> None:
    reported = failed_with(ROTATION, stored, ERROR, RUN)
    assert reported == replace(FAILED, **known)  # type: ignore[arg-type]


def test_remaining_seconds_are_rounded_down() -> None:
    reported = failed_with(
        ROTATION, living(6), ERROR, replace(RUN, now=lambda: START + timedelta(seconds=0.5))
    )
    assert reported.seconds_remaining == 6 * 3600 - 1


def test_token_not_published_is_late_despite_a_valid_token() -> None:
    error = TokenNotPublished(ParameterStoreError("the key is disabled", advice="enable it"))
    reported = failed_with(ROTATION, living(20), error, RUN)
    assert (reported.late, reported.seconds_remaining) == (True, 20 * 3600)


def test_status_not_written_reports_the_new_token() -> None:
    new = status(24, version=4)
    error = StatusNotWritten(new, ParameterStoreError("denied", advice="allow it"))
    reported = failed_with(ROTATION, living(1), error, RUN)
    assert (reported.parameter_version, reported.expires_at) == (4, new.expires_at)
    assert (reported.late, reported.seconds_remaining) == (False, DAY)


def test_left_over_is_busy_with_its_token_while_not_late() -> None:
    assert postponed(ROTATION, living(6), RUN) == Result(
        name="a",
        outcome=Outcome.BUSY,
        parameter_version=3,
        expires_at=START + 6 * HOUR,
        lifetime=DAY,
        reason="the run's time ran out; the next run starts with the token that expires first",
    )


def test_left_over_fails_when_late() -> None:
    reported = postponed(ROTATION, living(1), RUN)
    assert reported == failed_with(ROTATION, living(1), NotReached(), RUN)
    assert reported.error_kind == "NotReached"
    assert reported.error
    assert reported.error.startswith(
        "the run's time ran out before this renewal began; the next run tries again; if the error persists, "
    )


@pytest.mark.parametrize(("hours_left", "next_try"), [(20, None), (6, NEXT), (1, NEXT)])
def test_forced_left_over_fails_with_next_try_only_if_due(
    hours_left: float, next_try: datetime | None
) -> None:
    reported = postponed(ROTATION, living(hours_left), replace(RUN, force=True))
    error = NotReached(forced=True)
    assert reported == failed_with(ROTATION, living(hours_left), error, replace(RUN, next_run=next_try))


def test_unforeseen_error_is_logged_by_type_and_place_only(caplog: pytest.LogCaptureFixture) -> None:
    def explode() -> None:
        raise ZeroDivisionError(fake_ports.CANARY_SECRET)

    with pytest.raises(ZeroDivisionError) as caught:
        explode()
    reported = failed_with(ROTATION, living(6), caught.value, RUN)
    assert reported.error == "unexpected ZeroDivisionError; report this error with the traceback in the log"
    assert reported.error_kind == "RotatorError"
    (message,) = caplog.messages
    first, *frames = message.splitlines()
    assert first == "unexpected ZeroDivisionError in rotation a"
    assert len(frames) >= 4, "two of them, with their lines"
    assert all(line.startswith("  ") for line in frames)
    assert "in explode" in message
    assert fake_ports.CANARY_SECRET not in message + repr(reported)

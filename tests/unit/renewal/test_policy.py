"""When a token is renewed, and when a failure to do so is serious."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_ports import DAY, START, rotation
from rotator.renewal import durations, policy
from rotator.renewal.models import Lease, Outcome, Result, Status, Stored
from rotator.renewal.policy import TokenState

HOUR = timedelta(hours=1)


def status(**changes: object) -> Status:
    fields: dict[str, object] = {
        "parameter_version": 7,
        "issued_at": START,
        "expires_at": START + 24 * HOUR,
        "renew_at": START + 16 * HOUR,
        "scope": "*",
        "token_sha256": "0" * 16,
        "secret_version_id": "v",
        "rotator_version": "0",
    }
    return Status(**{**fields, **changes})  # type: ignore[arg-type]


STORED = Stored(token_version=7, status_version=3, status=status())


@pytest.mark.parametrize(
    ("stored", "hours", "state"),
    [
        pytest.param(Stored(), 0, TokenState.MISSING, id="nothing stored"),
        pytest.param(Stored(status=status(), status_version=1), 0, TokenState.MISSING, id="token deleted"),
        pytest.param(Stored(token_version=7), 0, TokenState.UNKNOWN, id="no status"),
        pytest.param(Stored(token_version=8, status=status()), 0, TokenState.UNKNOWN, id="other version"),
        pytest.param(STORED, 0, TokenState.FRESH, id="just issued"),
        pytest.param(STORED, 15, TokenState.FRESH, id="before the window"),
        pytest.param(STORED, 16.1, TokenState.DUE, id="in the window"),
        pytest.param(STORED, 24, TokenState.EXPIRED, id="at its end"),
        pytest.param(STORED, -1, TokenState.FRESH, id="issued in the future"),
    ],
)
def test_token_state_follows_status_and_lifetime(stored: Stored, hours: float, state: TokenState) -> None:
    assert policy.token_state(rotation(), stored, START + hours * HOUR) is state


def test_token_is_due_exactly_at_its_renewal_time() -> None:
    due = policy.renewal_time(rotation(), status())
    assert policy.token_state(rotation(), STORED, due) is TokenState.DUE
    assert policy.token_state(rotation(), STORED, due - timedelta(microseconds=1)) is TokenState.FRESH


@given(st.text(alphabet="abcdef0123456789/", min_size=1, max_size=30), st.floats(0.1, 0.95))
def test_jitter_makes_renewal_at_most_two_percent_earlier(name: str, renew_at: float) -> None:
    due = policy.renewal_time(rotation(parameter_name="/" + name, renew_at=renew_at), status())
    latest = START + 24 * HOUR * renew_at
    assert latest - 24 * HOUR * policy.JITTER <= due <= latest


def test_jitter_is_the_same_in_every_run() -> None:
    times = {policy.renewal_time(rotation(), status()) for _ in range(3)}
    assert len(times) == 1


def test_fleet_created_together_spreads_its_renewals() -> None:
    due = [policy.renewal_time(rotation(parameter_name=f"/fleet/{n}"), status()) for n in range(100)]
    assert max(due) - min(due) > timedelta(minutes=20)


UNFINISHED = Lease(version=1, may_be_revoked=True)
FORCED = replace(STORED, status=status(renew_at=START + HOUR), lease=UNFINISHED)


def test_status_makes_a_token_due_before_the_settings_do() -> None:
    marked = replace(STORED, status=status(renew_at=START + HOUR))
    assert policy.token_state(rotation(), marked, START + HOUR - HOUR / 60) is TokenState.FRESH
    assert policy.token_state(rotation(), marked, START + HOUR) is TokenState.DUE


def test_settings_make_a_token_due_before_the_status_does() -> None:
    assert policy.token_state(rotation(renew_at=0.2), STORED, START + 5 * HOUR) is TokenState.DUE


@pytest.mark.parametrize(
    ("stored", "hours", "revoked"),
    [
        pytest.param(replace(STORED, lease=UNFINISHED), 1, False, id="fresh: no token was requested"),
        pytest.param(replace(STORED, lease=UNFINISHED), 17, True, id="due"),
        pytest.param(FORCED, 1, True, id="made due by force"),
        pytest.param(STORED, 17, False, id="nothing may have been issued"),
        pytest.param(Stored(token_version=7, lease=UNFINISHED), 1, True, id="nothing is known"),
    ],
)
def test_token_may_be_revoked_after_an_unfinished_renewal(
    stored: Stored, hours: float, revoked: bool
) -> None:
    assert policy.may_be_revoked(rotation(), stored, START + hours * HOUR) is revoked


@pytest.mark.parametrize(
    ("stored", "hours", "late"),
    [
        pytest.param(FORCED, 1, True, id="an unfinished renewal"),
        pytest.param(replace(STORED, lease=UNFINISHED), 1, False, id="a renewal that requested nothing"),
        pytest.param(STORED, 1, False, id="before the window"),
        pytest.param(STORED, 19.5, False, id="in its first half"),
        pytest.param(STORED, 20.1, True, id="in its second half"),
        pytest.param(STORED, 25, True, id="after its end"),
        pytest.param(Stored(), 1, True, id="no token"),
        pytest.param(replace(STORED, token_version=8), 1, True, id="a token nothing is known of"),
    ],
)
def test_failure_is_late_from_the_middle_of_the_window(stored: Stored, hours: float, late: bool) -> None:
    assert policy.fails_late(rotation(), stored, START + hours * HOUR) is late


def test_failure_becomes_late_exactly_at_middle_of_window() -> None:
    due = policy.renewal_time(rotation(), status())
    middle = due + (START + 24 * HOUR - due) / 2
    assert policy.fails_late(rotation(), STORED, middle)
    assert not policy.fails_late(rotation(), STORED, middle - timedelta(microseconds=1))


@pytest.mark.parametrize(
    ("seconds", "next_try", "text"),
    [
        (
            27060,
            START,
            "the stored token is valid for another 7 h 31 min, next attempt by 2026-11-24T06:00:00Z",
        ),
        (
            None,
            START,
            "the stored token's remaining lifetime is not known, next attempt by 2026-11-24T06:00:00Z",
        ),
        (1, None, "the stored token is valid for another 1 s"),
        (0, None, "the stored token expired 0 s ago"),
        (-90, None, "the stored token expired 1 min 30 s ago"),
    ],
)
def test_outlook_shows_remaining_lifetime_and_next_try(
    seconds: int | None, next_try: datetime | None, text: str
) -> None:
    failed = Result(
        name="a", outcome=Outcome.FAILED, expires_at=START, seconds_remaining=seconds, next_try=next_try
    )
    assert policy.outlook(failed) == text


def test_outlook_reports_that_no_token_is_stored() -> None:
    failed = Result(name="a", outcome=Outcome.FAILED, seconds_remaining=0)
    assert policy.outlook(failed) == "no token is stored"


@pytest.mark.parametrize(
    ("params", "lifetime"),
    [
        ({}, None),
        ({"expiration": "86400"}, DAY),
        ({"expiration": "a day"}, None),
        ({"expiration": "²"}, None),
        ({"expiration": ("60", "70")}, None),
    ],
    ids=["not asked", "asked", "not a number", "a digit that is no number", "a list"],
)
def test_requested_lifetime_is_read_from_expiration(params: dict[str, Any], lifetime: float | None) -> None:
    assert policy.asked_lifetime(rotation(token_request_params=params)) == lifetime
    assert policy.asked_lifetime(rotation(token_request_params=params, lifetime=600)) == 600


EXPECTED = policy.ExpectedLifetime(shortest=3600, longest=DAY)


@pytest.mark.parametrize(
    ("lifetime", "far", "exceeds"),
    [
        (1799, True, False),
        (1800, False, False),
        (2 * DAY, False, False),
        (2 * DAY + 1, True, False),
        (10 * DAY, True, False),
        (10 * DAY + 1, True, True),
    ],
)
def test_lifetime_is_far_by_a_factor_of_two_and_exceeds_by_ten(
    lifetime: float, far: bool, exceeds: bool
) -> None:
    assert (EXPECTED.is_far_from(lifetime), EXPECTED.is_exceeded_by(lifetime)) == (far, exceeds)


def test_expected_lifetime_reads_as_one_or_as_a_range() -> None:
    assert str(EXPECTED) == "1 h to 1 d"
    assert str(policy.ExpectedLifetime(shortest=DAY, longest=DAY)) == "1 d"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59, "59 s"),
        (72, "1 min 12 s"),
        (28500, "7 h 55 min"),
        (28515, "7 h 55 min"),
        (2 * DAY, "2 d"),
        (-90, "-1 min 30 s"),
    ],
)
def test_durations_are_shown_in_their_two_largest_units(seconds: float, text: str) -> None:
    assert durations.describe_seconds(seconds) == text


def test_seconds_until_a_time_that_has_passed_are_negative() -> None:
    assert durations.seconds_until(START + HOUR, START) == 3600
    assert durations.seconds_until(START, START + HOUR) == -3600

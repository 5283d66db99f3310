"""The messages of the job: the reasons of its outcomes, and the next steps."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta

import pytest

from fake_ports import DAY, START
from rotator.errors import ParameterStoreError, TokenNotPublished, TokenRequestRejected
from rotator.renewal.models import Outcome, Parameter, Result
from single_rotation import (
    HOUR,
    LEASE,
    REFUSED,
    STATUS,
    TOKEN,
    Crashed,
    SingleRotation,
    assert_failed,
    fakes_answer,
    rotated,
    stop,
)

STORED_FOR_A_DAY = Result(
    name="default",
    outcome=Outcome.FRESH,
    expires_at=START + timedelta(days=1),
    parameter_version=1,
    lifetime=DAY,
)


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The log above INFO, which another test may have enabled."""
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_result_reports_the_stored_token() -> None:
    world = SingleRotation()
    assert world.run_once() == replace(STORED_FOR_A_DAY, outcome=Outcome.ROTATED)
    assert world.run_once() == STORED_FOR_A_DAY


def test_dry_run_reports_that_nothing_was_changed() -> None:
    reason = "dry run: nothing was changed"
    reported = replace(STORED_FOR_A_DAY, outcome=Outcome.ROTATED, reason=reason)
    assert rotated().run_once(force=True, dry_run=True) == reported


def test_kept_token_is_reported_with_the_reason() -> None:
    reason = "the endpoint issued a token that expires no later than the stored one"
    world = rotated((200, fakes_answer(expires_in=7 * HOUR))).later(17 * HOUR)
    assert world.run_once() == replace(STORED_FOR_A_DAY, outcome=Outcome.KEPT, reason=reason)


def test_busy_run_reports_when_the_lease_expires() -> None:
    world = rotated()
    world.ports.parameters.before_write = lambda name: stop(name == TOKEN)
    with pytest.raises(Crashed):
        world.run_once(force=True)
    reason = "another run holds the lease until 2026-11-24T06:01:01Z"
    assert world.run_once(force=True) == replace(STORED_FOR_A_DAY, outcome=Outcome.BUSY, reason=reason)


def test_overtaken_run_reports_the_reason() -> None:
    world = SingleRotation()
    world.ports.parameters.before_write = lambda _name: overtake(world)
    reason = "another run acquired the lease first"
    assert world.run_once() == Result(name="default", outcome=Outcome.BUSY, reason=reason)


def overtake(world: SingleRotation) -> None:
    """Let another run renew the token at this moment."""
    world.ports.parameters.before_write = lambda _name: None
    world.run_once(name="run-2")


def test_run_out_of_time_fails_with_advice() -> None:
    world = SingleRotation()
    world.ports.token_endpoint.latency = 61
    advice = "the next run tries again; if the error persists, raise TimeoutSeconds of the stack"
    assert_failed(world.run_once(), TokenNotPublished, advice)


def test_parameter_of_another_type_fails_with_advice() -> None:
    world = SingleRotation()
    world.ports.parameters.parameters[TOKEN] = Parameter(value="x", version=1, type="String")
    assert_failed(
        world.run_once(), ParameterStoreError, "delete this parameter, or set parameter_name to another name"
    )


def test_unreadable_status_is_logged_and_rewritten(caplog: pytest.LogCaptureFixture) -> None:
    world = rotated().later(62)
    world.ports.parameters.parameters[STATUS] = Parameter(value="?", version=9, type="String")
    world.run_once()
    assert warnings_of(caplog) == [
        (
            f"the status parameter {STATUS} of rotation default has no valid content "
            "(it is not JSON in the form that the rotator writes); the next renewal overwrites it"
        )
    ]
    assert world.status["parameter_version"] == 2


def test_unreleased_lease_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    world = SingleRotation(REFUSED)
    denied = ParameterStoreError("denied", advice="allow")
    world.ports.parameters.before_write = lambda _name: world.ports.parameters.fails.update(lease=denied)
    assert_failed(world.run_once(), TokenRequestRejected)
    assert warnings_of(caplog) == [
        (
            "rotation default: its lease could not be released, so no run renews the token before "
            "2026-11-24T06:01:01Z: denied"
        )
    ]


def test_unreadable_lease_is_logged_and_overwritten(caplog: pytest.LogCaptureFixture) -> None:
    world = SingleRotation()
    world.ports.parameters.put(LEASE, "?", "String")
    assert world.run_once().outcome is Outcome.ROTATED
    assert warnings_of(caplog) == [
        (
            f"the lease parameter {LEASE} of rotation default has no valid content; "
            "the next renewal overwrites it"
        )
    ]

"""The lease: which run may renew, and what a run that ended early leaves to the next one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

import fake_ports
from fake_ports import CANARY_TOKEN
from rotator.errors import (
    ConcurrentUpdate,
    CredentialsError,
    InvalidTokenResponse,
    ParameterStoreError,
    TokenEndpointUnavailable,
    TokenNotPublished,
    TokenRequestRejected,
    TokenVerificationError,
)
from rotator.renewal import lease, policy
from rotator.renewal.deadline import Deadline
from rotator.renewal.models import Attempt, Lease, Outcome
from rotator.renewal.policy import TokenState
from rotator.renewal.renew import rotate
from rotator.renewal.status import StatusNotWritten
from single_rotation import (
    HOUR,
    LEASE,
    REFUSED,
    STATUS,
    TOKEN,
    UNANSWERED,
    UNAVAILABLE,
    Crashed,
    SingleRotation,
    assert_failed,
    crash_before_token,
    fakes_answer,
    rotated,
    stop,
)

# Of two runs


def test_late_loser_leaves_the_finished_status_unchanged() -> None:
    world = rotated().later(17 * HOUR)
    before = world.stored()
    assert world.run_once(name="A").outcome is Outcome.ROTATED
    status = world.status
    world.run_once(name="B", stored=before)
    assert world.status == status
    assert policy.token_state(world.rotation, world.stored(), world.clock.now()) is TokenState.FRESH
    assert world.stored().lease == Lease(version=2)


def overtaken_at_lease(world: SingleRotation, **options: Any) -> SingleRotation:
    """Let run B renew the token between run A's read and run A's first write."""

    def overtake(_name: str) -> None:
        world.ports.parameters.before_write = lambda _name: None
        assert world.run_once(name="B", **options).outcome is Outcome.ROTATED

    world.ports.parameters.before_write = overtake
    return world


@pytest.mark.parametrize("force", [False, True])
def test_overtaken_run_is_busy_and_overwrites_only_the_lease(force: bool) -> None:
    world = overtaken_at_lease(rotated().later(17 * HOUR))
    assert world.run_once(name="A", force=force).outcome is Outcome.BUSY
    assert (world.status["parameter_version"], world.status["lease_version"]) == (2, 2)
    assert world.ports.parameters.writes == [LEASE, TOKEN, STATUS, LEASE]
    assert len(world.ports.token_endpoint.requests) == 2
    assert world.run_once(name="C").outcome is Outcome.FRESH


def test_overtaken_first_run_is_busy() -> None:
    world = overtaken_at_lease(SingleRotation())
    assert world.run_once(name="A").outcome is Outcome.BUSY
    assert world.ports.parameters.writes == [LEASE, TOKEN, STATUS], "the lease is created only once"


def test_lost_lease_of_a_short_run_does_not_hide_a_long_one() -> None:
    world = rotated().later(17 * HOUR)

    def hold_for_long(_name: str) -> None:
        world.ports.parameters.before_write = lambda name: stop(name == TOKEN)
        with pytest.raises(Crashed):
            world.run_once(name="long", budget=900)
        world.ports.parameters.before_write = lambda _name: None

    world.ports.parameters.before_write = hold_for_long
    assert world.run_once(name="short", budget=10).outcome is Outcome.BUSY
    assert world.lease["run"] == "short"
    assert world.later(60).run_once(name="third").outcome is Outcome.BUSY
    assert world.later(842).run_once(name="fourth").outcome is Outcome.ROTATED


def test_repeated_lease_write_makes_the_run_busy() -> None:
    """The SDK repeats a write whose answer was lost; it looks the same as another run's."""
    world = rotated().later(17 * HOUR)
    parameters = world.ports.parameters
    write = parameters.write_lease
    parameters.write_lease = lambda *args: write(*args) and write(*args)  # type: ignore[method-assign]
    assert world.run_once().outcome is Outcome.BUSY
    parameters.write_lease = write  # type: ignore[method-assign]
    assert world.later(60).run_once(name="run-2").outcome is Outcome.BUSY
    assert world.later(2).run_once(name="run-3").outcome is Outcome.ROTATED


def test_too_many_updates_of_the_lease_mean_busy() -> None:
    world = rotated().later(17 * HOUR)
    world.ports.parameters.fails["lease"] = ConcurrentUpdate("TooManyUpdates", advice="wait")
    assert world.run_once().outcome is Outcome.BUSY
    assert len(world.ports.token_endpoint.requests) == 1


def test_held_lease_means_busy_even_with_force() -> None:
    world = crash_before_token(rotated().later(17 * HOUR))
    assert world.run_once(name="run-2").outcome is Outcome.BUSY
    assert world.run_once(name="run-3", force=True).outcome is Outcome.BUSY
    assert world.later(61).run_once(name="run-4").outcome is Outcome.ROTATED


def test_lease_expiry_includes_the_overrun_of_the_run() -> None:
    world = SingleRotation()
    world.ports.parameters.before_write = lambda name: stop(name == TOKEN)
    with pytest.raises(Crashed):
        rotate(world.rotation, world.stored(), world.ports, replace(fake_ports.run(world.clock), overrun=40))
    assert world.lease["expires_at"] == "2026-11-24T06:01:41Z"


# What is written


def test_lease_text_has_exactly_the_documented_fields() -> None:
    world = crash_before_token(rotated().later(17 * HOUR))
    assert world.lease == {
        "schema": 1,
        "run": "crashed",
        "read_version": 1,
        "expires_at": "2026-11-24T23:01:01Z",
        "state": "held",
        "outcome": None,
        "error_kind": None,
        "issued": "no",
    }


def test_failed_renewal_releases_lease_with_its_outcome() -> None:
    world = rotated(REFUSED).later(17 * HOUR)
    assert_failed(world.run_once(), TokenRequestRejected)
    assert world.lease == {
        "schema": 1,
        "run": "run-1",
        "read_version": 2,
        "expires_at": "2026-11-24T23:00:00Z",
        "state": "released",
        "outcome": "failed",
        "error_kind": "TokenRequestRejected",
        "issued": "no",
    }
    last = Attempt(at=world.clock.now(), outcome=Outcome.FAILED, error_kind="TokenRequestRejected")
    assert world.stored().lease == Lease(version=3, last_attempt=last)


def test_published_token_settles_the_lease_without_another_write() -> None:
    world = rotated(REFUSED).later(17 * HOUR)
    world.run_once()
    world.ports.parameters.writes.clear()
    assert world.run_once(name="run-2").outcome is Outcome.ROTATED
    assert world.ports.parameters.writes == [LEASE, TOKEN, STATUS]
    assert world.stored().lease == Lease(version=4)
    assert world.status["lease_version"] == 4


def test_lease_is_not_released_by_a_run_whose_lease_has_expired() -> None:
    world = rotated(REFUSED).later(17 * HOUR)
    world.ports.token_endpoint.latency = 62
    assert_failed(world.run_once(), TokenRequestRejected)
    assert world.lease["state"] == "held"


def test_lease_checks_forbid_writes_at_the_exact_deadline() -> None:
    """By the run's own clock, which goes on where the machine's was set back."""
    world = rotated()
    held = lease.acquire(world.rotation, world.stored(), world.ports.parameters, fake_ports.run(world.clock))
    assert held
    at_the_end = replace(held, run=replace(held.run, deadline=Deadline(lambda: -40.0), overrun=40.0))
    before_it = replace(held, run=replace(held.run, deadline=Deadline(lambda: -39.9), overrun=40.0))
    assert (at_the_end.has_expired(), before_it.has_expired()) == (True, False)
    before_it.write_status(before_it.status)
    with pytest.raises(ParameterStoreError, match=f"before {STATUS} could be written"):
        at_the_end.write_status(at_the_end.status)
    over = replace(held, run=replace(held.run, deadline=Deadline(lambda: 0.0), overrun=40.0))
    with pytest.raises(ParameterStoreError, match=f"before {TOKEN} could be written"):
        over.check()


def test_next_lease_records_that_token_may_be_revoked() -> None:
    world = rotated(UNANSWERED).later(17 * HOUR)
    world.run_once()
    crash_before_token(world.later(61))
    assert world.lease["issued"] == "unknown"


def test_lease_is_released_until_the_very_end_of_the_run() -> None:
    world = rotated((200, b"<html>")).later(17 * HOUR)
    world.ports.token_endpoint.latency = 59.9
    assert_failed(world.run_once(), InvalidTokenResponse)
    assert world.lease["state"] == "released"


@pytest.mark.parametrize(
    ("latency", "version"),
    [pytest.param(59.9, 2, id="a moment before"), pytest.param(60, 1, id="just over")],
)
def test_token_is_published_until_the_very_end_of_the_run(latency: float, version: int) -> None:
    world = rotated().later(17 * HOUR)
    world.ports.token_endpoint.latency = latency
    world.run_once()
    assert world.token == f"{CANARY_TOKEN}-{version}"


def test_status_is_not_written_after_the_lease_has_expired() -> None:
    """Another run may have published a newer token since, and written its status."""
    world = rotated().later(17 * HOUR)
    before = world.status
    write = world.ports.parameters.write_token

    def write_slowly(*args: Any) -> int:
        world.clock.sleep(61)
        return write(*args)

    world.ports.parameters.write_token = write_slowly  # type: ignore[method-assign,assignment]
    assert_failed(world.run_once(), StatusNotWritten, "the run's time ran out")
    assert world.status == before
    world.ports.parameters.write_token = write  # type: ignore[method-assign]
    assert world.later(1).run_once(name="run-2").outcome is Outcome.ROTATED


def test_unforeseen_error_releases_the_lease() -> None:
    world = rotated().later(17 * HOUR)
    world.ports.secrets.credentials = None  # type: ignore[assignment]
    result = world.run_once()
    assert_failed(result, text="unexpected TypeError")
    assert (world.lease["state"], world.lease["error_kind"]) == ("released", "TypeError")
    assert world.lease["issued"] == "unknown"
    assert result.late, "the stored token may be revoked"


# A renewal of a fresh token


def test_forced_renewal_makes_a_fresh_token_due() -> None:
    world = crash_before_token(rotated().later(1), force=True)
    assert world.status["renew_at"] == "2026-11-24T06:00:01Z"
    assert (world.status["parameter_version"], world.status["lease_version"]) == (1, 1)
    assert world.later(62).run_once(name="run-2").outcome is Outcome.ROTATED
    assert world.run_once(name="run-3").outcome is Outcome.FRESH


def test_forced_renewal_stopped_early_leaves_the_token_fresh() -> None:
    world = rotated().later(1)
    world.ports.parameters.before_write = lambda name: stop(name == STATUS)
    with pytest.raises(Crashed):
        world.run_once(force=True)
    world.ports.parameters.before_write = lambda name: None
    assert world.later(62).run_once(name="run-2").outcome is Outcome.FRESH


def test_unwritable_status_stops_a_forced_renewal() -> None:
    world = rotated()
    world.ports.parameters.fails["status"] = ParameterStoreError("denied", advice="allow")
    assert_failed(world.run_once(force=True), ParameterStoreError)
    assert len(world.ports.token_endpoint.requests) == 1
    assert (world.lease["state"], world.lease["issued"]) == ("released", "no")


@pytest.mark.parametrize("answer", [UNAVAILABLE, UNANSWERED, REFUSED, (200, b"<html>")])
def test_forced_renewal_that_fails_leaves_the_token_due(answer: Any) -> None:
    world = rotated(answer).later(1)
    assert_failed(world.run_once(force=True))
    assert world.later(1).run_once(name="run-2").outcome is Outcome.ROTATED
    assert world.run_once(name="run-3").outcome is Outcome.FRESH


def test_unfinished_renewal_accepts_token_with_equal_expiry() -> None:
    world = crash_before_token(rotated(), force=True).later(HOUR)
    world.ports.token_endpoint.answers.append((200, fakes_answer(expires_in=23 * HOUR)))
    assert world.run_once(name="run-2").outcome is Outcome.ROTATED
    assert world.token == "other"


def test_unfinished_renewal_keeps_token_over_a_shorter_one() -> None:
    world = crash_before_token(rotated(), force=True).later(HOUR)
    world.ports.token_endpoint.answers.append((200, fakes_answer(expires_in=22 * HOUR)))
    assert world.run_once(name="run-2").outcome is Outcome.KEPT
    assert world.token == f"{CANARY_TOKEN}-1"
    assert world.later(1).run_once(name="run-3").outcome is Outcome.FRESH


def test_unfinished_renewal_is_finished_by_a_repeated_token() -> None:
    world = crash_before_token(rotated(), force=True).later(HOUR)
    repeated = fakes_answer(access_token=f"{CANARY_TOKEN}-1", expires_in=23 * HOUR)
    world.ports.token_endpoint.answers.append((200, repeated))
    assert world.run_once(name="run-2").outcome is Outcome.KEPT
    assert world.lease["issued"] == "no"
    assert world.run_once(name="run-3").outcome is Outcome.FRESH


def test_kept_token_due_by_its_lifetime_writes_no_status() -> None:
    world = rotated((200, fakes_answer(expires_in=7 * HOUR))).later(17 * HOUR)
    assert world.run_once().outcome is Outcome.KEPT
    assert world.ports.parameters.writes == [LEASE, LEASE]


# What may have been issued


@pytest.mark.parametrize(
    ("answer", "issued"),
    [
        pytest.param(REFUSED, "no", id="refused"),
        pytest.param((400, {"error": "invalid_scope"}), "no", id="400"),
        pytest.param(UNAVAILABLE, "no", id="not reached"),
        pytest.param(UNANSWERED, "unknown", id="not answered"),
        pytest.param((200, b"<html>"), "no", id="a page"),
        pytest.param((200, b'{"access_token": "cut o'), "unknown", id="half an answer"),
        pytest.param((200, fakes_answer(expires_in=-1)), "unknown", id="a token that cannot be used"),
        pytest.param((200, fakes_answer(expires_in=60)), "unknown", id="a token that is not published"),
    ],
)
def test_lease_records_whether_a_token_may_have_been_issued(answer: Any, issued: str) -> None:
    world = rotated(answer).later(17 * HOUR)
    world.run_once()
    assert world.lease["issued"] == issued


def test_failed_probe_records_issued_as_unknown() -> None:
    world = rotated(verify_url="https://content.example.test/topics").later(17 * HOUR)
    world.ports.token_endpoint.probe_status = 401
    assert_failed(world.run_once(), TokenVerificationError)
    assert world.lease["issued"] == "unknown"


def test_missing_credentials_mean_that_no_token_was_issued() -> None:
    world = SingleRotation(secret_id="missing")
    assert_failed(world.run_once(), CredentialsError)
    assert world.lease["issued"] == "no"


def test_failure_is_late_only_if_a_token_may_have_been_issued() -> None:
    early = rotated(UNAVAILABLE).later(17 * HOUR).run_once()
    assert_failed(early, TokenEndpointUnavailable)
    assert not early.late
    late = rotated(UNANSWERED).later(17 * HOUR).run_once()
    assert_failed(late, TokenEndpointUnavailable)
    assert late.late


def test_refusal_after_earlier_unanswered_request_is_late() -> None:
    world = rotated(UNANSWERED, REFUSED, REFUSED).later(17 * HOUR)
    for name in ("run-1", "run-2", "run-3"):
        assert world.run_once(name=name).late, name
    assert world.lease["issued"] == "unknown"
    assert world.run_once(name="run-4").outcome is Outcome.ROTATED
    world.ports.token_endpoint.answers.append(REFUSED)
    assert not world.later(17 * HOUR).run_once(name="run-5").late


def test_failure_after_a_crash_is_late() -> None:
    world = crash_before_token(rotated().later(17 * HOUR)).later(62)
    world.ports.token_endpoint.answers.append(REFUSED)
    assert world.run_once(name="run-2").late


def test_unpublished_token_is_late_and_recorded() -> None:
    world = rotated().later(17 * HOUR)
    world.ports.parameters.fails["token"] = ParameterStoreError("key disabled", advice="enable")
    result = world.run_once()
    assert_failed(result, TokenNotPublished)
    assert (result.late, world.lease["issued"]) == (True, "unknown")

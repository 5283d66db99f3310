"""The job on fakes: what is stored after it, whatever happened on the way."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

import fake_ports
from fake_ports import CANARY_SECRET, CANARY_TOKEN, START, rotation
from rotator import __version__
from rotator.errors import (
    CredentialsError,
    InvalidTokenResponse,
    ParameterStoreError,
    RotatorError,
    TokenEndpointUnavailable,
    TokenNotPublished,
    TokenRequestRejected,
    TokenVerificationError,
)
from rotator.oauth.models import AccessToken, Secret
from rotator.renewal.deadline import Deadline
from rotator.renewal.models import TIER_LIMITS, Outcome, Parameter, Rotation
from rotator.renewal.renew import check_size, rotate
from rotator.renewal.status import StatusNotWritten
from single_rotation import (
    HOUR,
    LEASE,
    REFUSED,
    STATUS,
    TOKEN,
    UNAVAILABLE,
    Crashed,
    SingleRotation,
    assert_failed,
    fakes_answer,
    rotated,
    stop,
)

# Success


def test_first_run_stores_token_and_status_with_its_version() -> None:
    world = SingleRotation()
    result = world.run_once()
    assert (result.outcome, result.parameter_version) == (Outcome.ROTATED, 1)
    assert world.token == f"{CANARY_TOKEN}-1"
    assert world.status["parameter_version"] == 1
    assert world.status["secret_version_id"] == "secret-v1"
    assert world.status["lease_version"] == 1


def test_a_fresh_token_costs_one_read_and_nothing_else() -> None:
    world = rotated().later(HOUR)
    reads = world.ports.parameters.reads
    assert world.run_once().outcome is Outcome.FRESH
    assert world.ports.parameters.reads == reads + 1
    assert (world.ports.parameters.writes, world.ports.secrets.reads) == ([], 1)
    assert len(world.ports.token_endpoint.requests) == 1


def test_due_token_is_renewed_by_lease_then_token_then_status() -> None:
    world = rotated().later(17 * HOUR)
    assert world.run_once().outcome is Outcome.ROTATED
    assert world.ports.parameters.writes == [LEASE, TOKEN, STATUS]
    assert (world.token, world.status["parameter_version"]) == (f"{CANARY_TOKEN}-2", 2)


def test_the_expiry_counts_from_before_the_request_was_sent() -> None:
    world = SingleRotation()
    world.ports.token_endpoint.latency = 5
    result = world.run_once()
    assert result.expires_at == START + timedelta(days=1)
    assert world.status["issued_at"] == "2026-11-24T06:00:00Z"


def test_renewed_token_expiry_counts_from_its_own_request() -> None:
    world = rotated().later(17 * HOUR)
    assert world.run_once().expires_at == START + timedelta(hours=17 + 24)
    assert world.status["issued_at"] == "2026-11-24T23:00:00Z"


def test_the_expiry_counts_from_the_attempt_that_was_answered() -> None:
    world = SingleRotation((503, {"retry_after": "10"}))
    assert world.run_once().expires_at == START + timedelta(seconds=10, days=1)


def test_status_records_scope_and_rotator_version() -> None:
    world = rotated((200, fakes_answer(scope="search.api"))).later(17 * HOUR)
    world.run_once()
    assert (world.status["scope"], world.status["rotator_version"]) == ("search.api", __version__)


def test_force_renews_a_fresh_token() -> None:
    world = rotated()
    assert world.run_once(force=True).outcome is Outcome.ROTATED
    assert world.token == f"{CANARY_TOKEN}-2"


def test_a_dry_run_changes_nothing_and_requests_nothing() -> None:
    world = SingleRotation()
    result = world.run_once(dry_run=True)
    assert result.outcome is Outcome.ROTATED
    assert world.ports.parameters.parameters == {}
    assert world.ports.token_endpoint.requests == []


def test_dry_run_fails_if_credentials_are_missing() -> None:
    world = SingleRotation(secret_id="missing")
    assert_failed(world.run_once(dry_run=True), CredentialsError)


def test_published_token_has_been_probed_once() -> None:
    world = SingleRotation(verify_url="https://content.example.test/topics")
    assert world.run_once().outcome is Outcome.ROTATED
    assert world.ports.token_endpoint.probes == [("https://content.example.test/topics", world.token)]


# Healing


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda p: p.pop(TOKEN), id="token deleted"),
        pytest.param(lambda p: p.pop(STATUS), id="status deleted"),
        pytest.param(
            lambda p: p.update({STATUS: Parameter(value="?", version=9, type="String")}), id="status garbled"
        ),
        pytest.param(
            lambda p: p.update({TOKEN: Parameter(value="by hand", version=9, type="SecureString")}),
            id="token replaced by hand",
        ),
    ],
)
def test_next_run_recovers_from_damaged_parameters(spoil: Any) -> None:
    world = rotated()
    spoil(world.ports.parameters.parameters)
    assert world.later(62).run_once().outcome is Outcome.ROTATED
    assert world.token == f"{CANARY_TOKEN}-2"
    assert world.run_once().outcome is Outcome.FRESH


# Kept


def test_token_that_expires_no_later_is_kept_and_lease_released() -> None:
    world = rotated((200, fakes_answer(expires_in=7 * HOUR))).later(17 * HOUR)
    result = world.run_once()
    assert (result.outcome, result.parameter_version) == (Outcome.KEPT, 1)
    assert result.expires_at == START + timedelta(days=1)
    assert world.token == f"{CANARY_TOKEN}-1"
    assert (world.lease["state"], world.lease["outcome"]) == ("released", "kept")


def test_force_publishes_even_a_token_that_expires_sooner() -> None:
    world = rotated((200, fakes_answer(expires_in=60)))
    assert world.run_once(force=True).outcome is Outcome.ROTATED
    assert world.token == "other"


def test_shorter_token_is_published_if_status_is_missing() -> None:
    world = rotated((200, fakes_answer(expires_in=60)))
    del world.ports.parameters.parameters[STATUS]
    assert world.later(62).run_once().outcome is Outcome.ROTATED
    assert world.token == "other"


@pytest.mark.parametrize(
    ("seconds", "outcome"),
    [
        pytest.param(0.9, Outcome.KEPT, id="within the second in which times are stored"),
        pytest.param(1, Outcome.ROTATED, id="a second later"),
    ],
)
def test_newer_token_must_expire_a_full_second_later(seconds: float, outcome: Outcome) -> None:
    world = rotated((200, fakes_answer(expires_in=7 * HOUR))).later(17 * HOUR + seconds)
    assert world.run_once().outcome is outcome


@pytest.mark.parametrize(
    ("seconds", "outcome"),
    [
        pytest.param(20, Outcome.KEPT, id="by what its way took"),
        pytest.param(60, Outcome.KEPT, id="by what a whole run may take"),
        pytest.param(HOUR, Outcome.ROTATED, id="because its life was extended"),
    ],
)
def test_repeated_token_is_newer_only_if_clearly_extended(seconds: int, outcome: Outcome) -> None:
    repeated = fakes_answer(access_token=f"{CANARY_TOKEN}-1", expires_in=7 * HOUR + seconds)
    world = rotated((200, repeated)).later(17 * HOUR)
    assert world.run_once().outcome is outcome


def test_stored_token_with_maximum_expiry_is_kept() -> None:
    world = rotated()
    changed = {**world.status, "renew_at": world.status["issued_at"], "expires_at": "9999-12-31T23:59:59Z"}
    world.ports.parameters.put(STATUS, json.dumps(changed), "String")
    assert world.later(60).run_once().outcome is Outcome.KEPT


def test_forced_repeated_token_keeps_its_renewal_time() -> None:
    repeated = fakes_answer(access_token=f"{CANARY_TOKEN}-1", expires_in=12 * HOUR)
    world = rotated((200, repeated)).later(12 * HOUR)
    before = world.status["renew_at"]
    assert world.run_once(force=True).outcome is Outcome.ROTATED
    assert (world.status["parameter_version"], world.status["renew_at"]) == (2, before)


# Failure


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        pytest.param(REFUSED, TokenRequestRejected, id="refused"),
        pytest.param(UNAVAILABLE, TokenEndpointUnavailable, id="unavailable"),
        pytest.param((401, {"error": "invalid_client"}), TokenRequestRejected, id="401"),
        pytest.param((200, {"error": "invalid_scope"}), TokenRequestRejected, id="200 with an error"),
        pytest.param((200, b"<html>"), InvalidTokenResponse, id="HTML"),
        pytest.param((200, fakes_answer(token_type="mac")), InvalidTokenResponse, id="no Bearer"),
        pytest.param((200, fakes_answer(expires_in=0)), InvalidTokenResponse, id="no life"),
        pytest.param((200, fakes_answer(access_token="a b")), InvalidTokenResponse, id="no token"),
    ],
)
def test_a_failed_request_leaves_token_and_status_as_they_were(
    answer: Any, error: type[RotatorError]
) -> None:
    world = rotated(answer).later(17 * HOUR)
    before = world.token, world.status
    assert_failed(world.run_once(), error)
    assert (world.token, world.status) == before


def test_a_failed_probe_publishes_nothing() -> None:
    world = rotated(verify_url="https://content.example.test/topics").later(17 * HOUR)
    world.ports.token_endpoint.probe_status = 401
    assert_failed(world.run_once(), TokenVerificationError)
    assert world.token == f"{CANARY_TOKEN}-1"


def test_failure_releases_lease_for_the_next_run() -> None:
    world = rotated(REFUSED).later(17 * HOUR)
    assert_failed(world.run_once(), TokenRequestRejected)
    assert world.run_once(name="run-2").outcome is Outcome.ROTATED


def deny_lease(world: SingleRotation, name: str) -> None:
    """Deny every write of the lease after the first."""
    world.ports.parameters.fails["lease"] = ParameterStoreError("denied", advice="allow")


def test_unreleased_lease_does_not_hide_the_failure() -> None:
    world = SingleRotation(REFUSED)
    world.ports.parameters.before_write = lambda name: deny_lease(world, name)
    assert_failed(world.run_once(), TokenRequestRejected)


def test_missing_credentials_fail_before_a_token_request() -> None:
    world = SingleRotation(secret_id="missing")
    assert_failed(world.run_once(), CredentialsError, "missing")
    assert world.ports.token_endpoint.requests == []
    assert world.token is None


def test_unwritable_token_leaves_token_and_status_unchanged() -> None:
    world = rotated().later(17 * HOUR)
    before = world.token, world.status
    world.ports.parameters.fails["token"] = ParameterStoreError("key disabled", advice="enable")
    assert_failed(world.run_once(), TokenNotPublished)
    assert (world.token, world.status) == before


def test_unwritable_status_keeps_token_and_next_run_renews_it() -> None:
    world = SingleRotation()
    parameters = world.ports.parameters

    def deny_the_status_that_follows(name: str) -> None:
        if name == TOKEN:
            parameters.fails["status"] = ParameterStoreError("denied", advice="allow it")

    parameters.before_write = deny_the_status_that_follows
    result = world.run_once()
    assert_failed(result, StatusNotWritten)
    assert result.error == (
        "the new token is stored as version 1, but its status could not be written, "
        "so the next run renews the token again: denied; allow it"
    )
    assert (world.token, result.parameter_version) == (f"{CANARY_TOKEN}-1", 1)
    parameters.fails.clear()
    parameters.before_write = lambda name: None
    assert world.later(62).run_once(name="run-2").outcome is Outcome.ROTATED


def test_run_without_time_publishes_nothing_and_lease_expires() -> None:
    world = rotated().later(17 * HOUR)
    world.ports.token_endpoint.latency = 61
    assert_failed(world.run_once(), TokenNotPublished, "time ran out before /healthwise/token")
    assert world.token == f"{CANARY_TOKEN}-1"
    assert (world.lease["run"], world.lease["state"]) == ("run-1", "held")
    world.ports.token_endpoint.latency = 0
    assert world.later(2).run_once(name="run-2").outcome is Outcome.ROTATED


@pytest.mark.parametrize("seconds", [61, HOUR], ids=["just to its end", "for an hour"])
def test_run_that_slept_past_its_lease_publishes_nothing(
    seconds: float,
) -> None:
    world = rotated().later(17 * HOUR)
    world.ports.token_endpoint.latency = seconds
    asleep = replace(fake_ports.run(world.clock), deadline=Deadline(lambda: 60.0))
    result = rotate(world.rotation, world.stored(), world.ports, asleep)
    assert_failed(result, TokenNotPublished, "time ran out")
    assert world.token == f"{CANARY_TOKEN}-1"
    assert (world.lease["run"], world.lease["state"]) == ("run-1", "held")


def test_unwritable_token_is_reported_as_issued() -> None:
    world = rotated().later(17 * HOUR)
    world.ports.parameters.fails["token"] = ParameterStoreError("key disabled", advice="enable it")
    result = world.run_once()
    assert_failed(result, TokenNotPublished)
    assert result.error == (
        "a new token was issued but not stored, and the provider may have revoked "
        "the stored token: key disabled; enable it"
    )


@pytest.mark.parametrize("type_name", ["String", "StringList"])
def test_parameter_of_another_type_fails_before_any_request(type_name: str) -> None:
    world = SingleRotation()
    world.ports.parameters.parameters[TOKEN] = Parameter(value="x", version=1, type=type_name)
    assert_failed(world.run_once(), ParameterStoreError, f"is a {type_name}")
    assert world.ports.parameters.writes == []
    assert world.ports.token_endpoint.requests == []


# Crashes

BOUNDARIES = ["lease", "token", "status"]


@pytest.mark.parametrize("nth", range(3), ids=[f"before the {name} is written" for name in BOUNDARIES])
@pytest.mark.parametrize("first", [True, False], ids=["first token", "renewal"])
def test_next_run_recovers_from_a_crash_before_any_write(nth: int, first: bool) -> None:
    world = SingleRotation() if first else rotated().later(17 * HOUR)
    writes = world.ports.parameters.writes
    world.ports.parameters.before_write = lambda name: stop(len(writes) == nth)
    before = world.token
    with pytest.raises(Crashed):
        world.run_once()
    assert world.token in (before, f"{CANARY_TOKEN}-{len(world.ports.token_endpoint.requests)}")
    world.ports.parameters.before_write = lambda name: None
    assert world.later(62).run_once(name="run-2").outcome is Outcome.ROTATED
    assert world.run_once(name="run-3").outcome is Outcome.FRESH
    assert world.status["parameter_version"] == world.ports.parameters.parameters[TOKEN].version


# Secrets


def test_results_and_errors_show_no_secret() -> None:
    shown = [repr(SingleRotation().run_once()), repr(SingleRotation().run_once().to_dict())]
    for answer in (REFUSED, (401, {"error": CANARY_SECRET}), (200, CANARY_TOKEN.encode())):
        result = SingleRotation(answer).run_once()
        assert_failed(result)
        shown += [repr(result), repr(result.to_dict())]
    assert "canary" not in "".join(shown)


def test_the_status_holds_no_token() -> None:
    world = rotated()
    assert CANARY_TOKEN not in world.ports.parameters.parameters[STATUS].value


def test_a_rotation_does_not_show_its_extra_parameters() -> None:
    secretive = rotation(token_request_params={"assertion": CANARY_SECRET})
    assert isinstance(secretive, Rotation)
    assert CANARY_SECRET not in repr(secretive)


def test_large_token_advises_a_larger_tier_before_a_narrower_scope() -> None:
    for tier, larger in (("Standard", "set tier to Intelligent-Tiering (8192 bytes), or "), ("Advanced", "")):
        large = AccessToken(
            value=Secret("t" * (TIER_LIMITS[tier] + 1)), issued_at=START, expires_at=START, scope="*"
        )
        with pytest.raises(InvalidTokenResponse) as caught:
            check_size(rotation(tier=tier), large)
        assert caught.value.advice == f"{larger}set scope to a narrower one"

"""Claims: who may renew, and what a run that ended early leaves to the next one."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

import fakes
from fakes import CANARY_TOKEN, rotation
from job import HOUR, REFUSED, TOKEN, UNAVAILABLE, Crashed, World, fakes_answer, rotated, stop
from rotator import policy
from rotator.errors import (
    ConcurrentUpdate,
    InvalidTokenResponse,
    ParameterStoreError,
    RotatorError,
    TokenEndpointUnavailable,
    TokenRequestRejected,
)
from rotator.model import Outcome
from rotator.rotation import rotate


def test_a_live_claim_of_another_run_means_busy_even_with_force() -> None:
    world = rotated().later(17 * HOUR)
    claimed = world.stored()
    world.ports.parameters.before_write = lambda name: stop(name == TOKEN)
    with pytest.raises(Crashed):
        world.tick(stored=claimed)
    assert world.tick(name="run-2").outcome is Outcome.BUSY
    assert world.tick(name="run-3", force=True).outcome is Outcome.BUSY


def test_a_claim_of_a_dead_run_ends_by_itself_after_the_run_budget() -> None:
    world = rotated().later(17 * HOUR)
    world.ports.parameters.before_write = lambda name: stop(name == TOKEN)
    with pytest.raises(Crashed):
        world.tick()
    world.ports.parameters.before_write = lambda name: None
    assert world.tick(name="run-2").outcome is Outcome.BUSY
    assert world.later(62).tick(name="run-3").outcome is Outcome.ROTATED


def test_of_two_runs_that_read_the_same_status_one_is_busy() -> None:
    world = rotated().later(17 * HOUR)
    seen = world.stored()
    assert world.tick(stored=seen).outcome is Outcome.ROTATED
    assert world.tick(stored=seen, name="run-2").outcome is Outcome.BUSY
    assert len(world.ports.token_endpoint.requests) == 2


def test_of_two_first_runs_one_is_busy() -> None:
    world = World()
    seen = world.stored()
    assert world.tick(stored=seen).outcome is Outcome.ROTATED
    assert world.tick(stored=seen, name="run-2").outcome is Outcome.BUSY


def test_too_many_updates_of_the_status_mean_busy() -> None:
    world = rotated().later(17 * HOUR)
    world.ports.parameters.fails["status"] = ConcurrentUpdate("TooManyUpdates", advice="wait")
    assert world.tick().outcome is Outcome.BUSY
    assert len(world.ports.token_endpoint.requests) == 1


def test_the_claim_keeps_the_other_fields_of_the_status_true() -> None:
    world = rotated().later(17 * HOUR)
    before = world.status
    world.ports.parameters.before_write = lambda name: stop(name == TOKEN)
    with pytest.raises(Crashed):
        world.tick()
    claimed = world.status
    assert claimed.pop("claimed_by") == "run-1"
    assert claimed.pop("claimed_until") == "2026-11-24T23:01:01Z"
    assert claimed == before


# A renewal that did not finish: some providers end the old token with the new one's birth.


def forced_and_died() -> World:
    world = rotated()
    world.ports.parameters.before_write = lambda name: stop(name == TOKEN)
    with pytest.raises(Crashed):
        world.tick(force=True)
    world.ports.parameters.before_write = lambda name: None
    return world


def test_a_fresh_token_is_renewed_where_a_forced_run_died_before_it_could_publish() -> None:
    world = forced_and_died().later(62)
    assert world.tick(name="run-2").outcome is Outcome.ROTATED
    assert "claimed_by" not in world.status
    assert world.tick(name="run-3").outcome is Outcome.FRESH


@pytest.mark.parametrize(
    "failure",
    [
        pytest.param(UNAVAILABLE, id="no answer"),
        pytest.param((200, b"<html>"), id="no token in the answer"),
    ],
)
def test_a_fresh_token_is_renewed_where_a_forced_run_may_have_been_issued_another(failure: Any) -> None:
    world = rotated(failure)
    with pytest.raises(RotatorError):
        world.tick(force=True)
    assert world.later(1).tick(name="run-2").outcome is Outcome.ROTATED
    assert world.tick(name="run-3").outcome is Outcome.FRESH


def test_a_fresh_token_is_renewed_where_a_forced_run_could_not_write_the_new_one() -> None:
    world = rotated()
    world.ports.parameters.fails["token"] = ParameterStoreError("key disabled", advice="enable")
    with pytest.raises(ParameterStoreError):
        world.tick(force=True)
    world.ports.parameters.fails.clear()
    assert world.later(1).tick(name="run-2").outcome is Outcome.ROTATED


def test_a_fresh_token_is_left_alone_where_a_forced_run_was_refused() -> None:
    world = rotated(REFUSED)
    with pytest.raises(TokenRequestRejected):
        world.tick(force=True)
    assert "claimed_by" not in world.status
    assert world.tick(name="run-2").outcome is Outcome.FRESH


def test_a_fresh_token_is_renewed_where_a_refusal_came_after_a_request_without_an_answer() -> None:
    later = TokenRequestRejected("refused", advice="mend", status=403, code=None, at_once=False)
    world = rotated(later)
    with pytest.raises(TokenRequestRejected):
        world.tick(force=True)
    assert world.later(1).tick(name="run-2").outcome is Outcome.ROTATED


def test_an_unfinished_renewal_is_finished_by_another_token_that_ends_at_the_same_time() -> None:
    world = forced_and_died().later(HOUR)
    world.ports.token_endpoint.answers.append((200, fakes_answer(expires_in=23 * HOUR)))
    assert world.tick(name="run-2").outcome is Outcome.ROTATED
    assert (world.token, "claimed_by" in world.status) == ("other", False)


def test_an_unfinished_renewal_never_makes_the_stored_token_worse_and_does_not_go_on_for_ever() -> None:
    world = forced_and_died().later(HOUR)
    world.ports.token_endpoint.answers.append((200, fakes_answer(expires_in=22 * HOUR)))
    assert world.tick(name="run-2").outcome is Outcome.KEPT
    assert world.token == f"{CANARY_TOKEN}-1"
    assert world.later(1).tick(name="run-3").outcome is Outcome.FRESH


def test_an_unfinished_renewal_is_finished_by_the_stored_token_given_once_more() -> None:
    world = forced_and_died().later(HOUR)
    repeated = fakes_answer(access_token=f"{CANARY_TOKEN}-1", expires_in=23 * HOUR)
    world.ports.token_endpoint.answers.append((200, repeated))
    assert world.tick(name="run-2").outcome is Outcome.KEPT
    assert "claimed_by" not in world.status
    assert world.tick(name="run-3").outcome is Outcome.FRESH


def test_a_trace_is_left_for_a_run_that_renews_later_than_this_one() -> None:
    late = rotated(renew_at=0.9)
    late.rotation = rotation(renew_at=0.667)  # an operator's shell, say
    late.later(17 * HOUR).ports.parameters.fails["token"] = ParameterStoreError(
        "key disabled", advice="enable"
    )
    with pytest.raises(ParameterStoreError):
        late.tick()
    late.ports.parameters.fails.clear()
    late.rotation = rotation(renew_at=0.9)
    assert late.later(1).tick(name="run-2").outcome is Outcome.ROTATED


def test_no_trace_is_left_where_nothing_is_known_of_a_stored_token() -> None:
    world = World(UNAVAILABLE)
    with pytest.raises(TokenEndpointUnavailable):
        world.tick()
    assert world.status == {"schema": 1}


def test_a_trace_is_left_by_a_run_that_renews_later_than_the_one_before_it() -> None:
    world = rotated(UNAVAILABLE, renew_at=0.667).later(17 * HOUR)
    world.rotation = rotation(renew_at=0.9)
    with pytest.raises(TokenEndpointUnavailable):
        world.tick(force=True)
    assert world.later(1).tick(name="run-2").outcome is Outcome.ROTATED


def test_a_refusal_does_not_wipe_out_the_trace_of_an_unfinished_renewal() -> None:
    world = forced_and_died().later(62)
    world.ports.token_endpoint.answers.append(REFUSED)
    with pytest.raises(TokenRequestRejected):
        world.tick(name="run-2")
    assert world.tick(name="run-3").outcome is Outcome.ROTATED


def test_the_trace_of_an_unfinished_renewal_names_its_run_and_the_time_of_its_end() -> None:
    world = rotated(UNAVAILABLE)
    with pytest.raises(TokenEndpointUnavailable):
        world.tick(force=True)
    assert world.status["claimed_by"] == "run-1"
    assert world.status["claimed_until"] == "2026-11-24T06:00:00Z"


def test_no_trace_is_left_from_the_moment_on_at_which_the_token_is_due_anyway() -> None:
    world = rotated(UNAVAILABLE)
    status = world.stored().trusted
    assert status
    world.clock.time = policy.renewal_time(world.rotation, status)
    with pytest.raises(TokenEndpointUnavailable):
        world.tick()
    assert "claimed_by" not in world.status


# The end of a run's time


@pytest.mark.parametrize(
    ("latency", "version"),
    [pytest.param(59.9, 2, id="a moment before"), pytest.param(60, 1, id="just over")],
)
def test_a_token_is_published_until_the_very_end_of_the_runs_time(latency: float, version: int) -> None:
    world = rotated().later(17 * HOUR)
    world.ports.token_endpoint.latency = latency
    with suppress(ParameterStoreError):
        world.tick()
    assert world.token == f"{CANARY_TOKEN}-{version}"


@pytest.mark.parametrize(
    ("latency", "claimed"),
    [pytest.param(59.9, False, id="a moment before"), pytest.param(60, True, id="just over")],
)
def test_a_claim_is_given_back_until_the_very_end_of_the_runs_time(latency: float, claimed: bool) -> None:
    world = rotated((200, b"<html>")).later(17 * HOUR)
    world.ports.token_endpoint.latency = latency
    with pytest.raises(InvalidTokenResponse):
        world.tick()
    assert ("claimed_by" in world.status) is claimed


def test_a_claim_covers_the_last_write_of_a_run_that_nobody_cuts_off() -> None:
    world = World()
    world.ports.parameters.before_write = lambda name: stop(name == TOKEN)
    uncut = replace(fakes.run(world.clock), overrun=40)
    with pytest.raises(Crashed):
        rotate(world.rotation, world.stored(), world.ports, uncut)
    assert world.status["claimed_until"] == "2026-11-24T06:01:41Z"

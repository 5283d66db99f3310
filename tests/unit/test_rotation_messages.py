"""What the job tells: the reasons of its outcomes, and what to do next."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta

import pytest

from fakes import DAY, START
from job import HOUR, REFUSED, STATUS, TOKEN, Crashed, World, fakes_answer, rotated, stop
from rotator.errors import (
    ParameterStoreError,
    TokenRequestRejected,
)
from rotator.model import Outcome, Parameter, Result

STORED_FOR_A_DAY = Result(
    name="default",
    outcome=Outcome.FRESH,
    expires_at=START + timedelta(days=1),
    parameter_version=1,
    lifetime=DAY,
)


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was told above INFO, which another test may have turned on."""
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_result_tells_what_consumers_have() -> None:
    world = World()
    assert world.tick() == replace(STORED_FOR_A_DAY, outcome=Outcome.ROTATED)
    assert world.tick() == STORED_FOR_A_DAY


def test_a_dry_run_says_that_it_changed_nothing() -> None:
    note = "dry run: nothing was changed"
    told = replace(STORED_FOR_A_DAY, outcome=Outcome.ROTATED, note=note)
    assert rotated().tick(force=True, dry_run=True) == told


def test_a_kept_token_is_told_with_the_reason() -> None:
    note = "the endpoint's token expires no later than the stored one"
    world = rotated((200, fakes_answer(expires_in=7 * HOUR))).later(17 * HOUR)
    assert world.tick() == replace(STORED_FOR_A_DAY, outcome=Outcome.KEPT, note=note)


def test_a_run_that_finds_a_claim_says_until_when() -> None:
    world = rotated()
    world.ports.parameters.before_write = lambda name: stop(name == TOKEN)
    with pytest.raises(Crashed):
        world.tick(force=True)
    note = "another run may renew it until 2026-11-24T06:01:01Z"
    assert world.tick(force=True) == replace(STORED_FOR_A_DAY, outcome=Outcome.BUSY, note=note)


def test_a_run_that_is_overtaken_says_so() -> None:
    world = World()
    seen = world.stored()
    world.tick(stored=seen)
    overtaken = world.tick(stored=seen)
    assert overtaken == Result(name="default", outcome=Outcome.BUSY, note="another run renews it just now")


def test_a_run_whose_time_is_over_says_what_to_do() -> None:
    world = World()
    world.ports.token_endpoint.latency = 61
    with pytest.raises(ParameterStoreError) as caught:
        world.tick()
    assert caught.value.advice == "the next run tries again; if it lasts, raise TimeoutSeconds of the stack"


def test_a_parameter_of_another_type_says_what_to_do() -> None:
    world = World()
    world.ports.parameters.parameters[TOKEN] = Parameter(value="x", version=1, type="String")
    with pytest.raises(ParameterStoreError) as caught:
        world.tick()
    assert caught.value.advice == "delete it, or set parameter_name to another name"


def test_a_status_that_cannot_be_read_is_told_and_written_anew(caplog: pytest.LogCaptureFixture) -> None:
    world = rotated()
    world.ports.parameters.parameters[STATUS] = Parameter(value="?", version=9, type="String")
    world.tick()
    problem = "it is not the JSON that the rotator writes"
    told = f"the status of rotation default cannot be read, {problem}; it is written anew"
    assert warnings_of(caplog) == [told]
    assert world.status["parameter_version"] == 2


def test_a_claim_that_is_not_given_back_is_told(caplog: pytest.LogCaptureFixture) -> None:
    world = World(REFUSED)
    world.ports.parameters.fails["status"] = ParameterStoreError("denied", advice="allow")
    with pytest.raises(TokenRequestRejected):
        world.tick()
    assert warnings_of(caplog) == ["the claim on rotation default was not given back; it ends by itself"]

"""The copies of a run to one Region: one after another for a rotation, and the reason that is reported."""

from __future__ import annotations

import threading
import time
from concurrent.futures import wait
from typing import Any

import pytest

import fake_ports
from fake_ports import FakeParameterStore, rotation
from replicas_in_memory import DENIED, IRELAND, TOKEN, Hanging, World, opener
from rotator.fleet.write_rate import WriteRate
from rotator.oauth.client_credentials import TokenResponse
from rotator.renewal.deadline import Deadline
from rotator.renewal.models import Outcome
from rotator.renewal.ports import Run
from rotator.replication.region_copies import RegionCopies, Replica


@pytest.fixture
def world() -> World:
    return World()


def test_renewed_token_waits_for_the_copy_of_the_one_before(world: World) -> None:
    world.stores[IRELAND].fails["token"] = DENIED
    world.run()
    world.stores[IRELAND].fails.clear()
    world.clock.sleep(0.8 * fake_ports.DAY)
    store, request = world.stores[IRELAND], world.ports.token_endpoint.request
    writing, renewed = threading.Event(), threading.Event()

    def write_slowly(_name: str) -> None:
        if not writing.is_set():
            writing.set()
            renewed.wait(2)
            time.sleep(0.2)  # the copy of the renewed token would now be written first

    def request_while_copying(*args: Any, **options: Any) -> TokenResponse:
        writing.wait(2)
        return request(*args, **options)

    store.before_write = write_slowly
    world.ports.token_endpoint.request = request_while_copying  # type: ignore[method-assign]
    summary = world.run(on_result=lambda _: renewed.set())
    assert [(r.outcome, r.replicas_behind) for r in summary.results] == [(Outcome.ROTATED, ())]
    assert len(set(world.tokens())) == 1
    assert store.writes == [TOKEN, f"{TOKEN}/status"] * 2


def test_copy_that_succeeds_clears_the_error_of_the_one_before(world: World) -> None:
    run = Run(id="run", now=world.clock.now, deadline=Deadline(lambda: 60.0), budget=60)
    copies = RegionCopies(world.replicas[0], world.home, run)
    copies._pending += ["default", "default"]
    copies._settle(rotation(), DENIED)
    copies._settle(rotation(), None)
    copies.finish()
    assert copies.errors == {}


def test_copy_in_progress_is_reported_after_an_earlier_one(world: World) -> None:
    run = Run(id="run", now=world.clock.now, deadline=Deadline(lambda: 1.0), budget=60)
    copies = RegionCopies(world.replicas[0], world.home, run)
    copies._pending += ["default", "default"]
    copies._settle(rotation(), None)
    copies.finish()
    assert copies.errors.keys() == {"default"}


def test_copy_without_an_answer_is_reported_before_an_earlier_failure(world: World) -> None:
    hanging, refusing = Hanging(), FakeParameterStore()
    refusing.fails["read"] = DENIED
    stores = iter([refusing, hanging])
    replica = Replica(region=IRELAND, open=lambda: next(stores), write_rate=WriteRate(1e9))
    end = time.monotonic() + 2
    run = Run(id="run", now=world.clock.now, deadline=Deadline(lambda: end - time.monotonic()), budget=2)
    copies = RegionCopies(replica, world.home, run)
    world.run()
    try:
        copies.copy(rotation())
        wait(copies._tasks)
        copies.copy(rotation())
        copies.finish()
        assert "did not respond" in copies.errors[rotation().name].problem
    finally:
        hanging.released.set()


def test_copy_finished_after_the_report_changes_nothing_in_it(world: World) -> None:
    world.run()
    hanging = Hanging()
    hanging.fails["read"] = DENIED
    replica = Replica(region=IRELAND, open=opener(hanging), write_rate=WriteRate(1e9))
    end = time.monotonic() + 1.2
    deadline = Deadline(lambda: end - time.monotonic())
    copies = RegionCopies(
        replica, world.home, Run(id="run", now=world.clock.now, deadline=deadline, budget=1)
    )
    copies.copy(rotation())
    copies.finish()
    before = dict(copies.errors)
    assert before.keys() == {"default"}
    hanging.released.set()
    wait(copies._tasks, timeout=10)
    assert copies.errors == before

"""The writes that threads of a run share: so many at a time, and what one that hangs does to the others."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from datetime import timedelta
from threading import Barrier, Event, Lock

import pytest

import fakes
from fakes import Clock, FakeParameterStore, rotation
from rotator.adapters import aws
from rotator.errors import ParameterStoreError
from rotator.model import Secret
from rotator.writes import WRITES_AT_A_TIME, SharedParameters

ROTATION = rotation()
TOKEN, STATUS = ROTATION.parameter_name, ROTATION.status_name


def hung() -> ParameterStoreError:
    error = ParameterStoreError("writing the parameter failed: Unreachable", advice="check the network")
    error.unreachable = True
    return error


class World:
    """A store that a run's threads share, and that may hang."""

    def __init__(self, *, budget: float = 60) -> None:
        self.clock = Clock()
        self.store = FakeParameterStore()
        self.shared = SharedParameters(self.store, fakes.run(self.clock, budget=budget))

    def hang(self, *, seconds: float = 35) -> None:
        """Let one write hang for so long, and the next ones work."""

        def fail(_name: str) -> None:
            self.store.before_write = lambda _name: None
            self.clock.sleep(seconds)
            raise hung()

        self.store.before_write = fail
        with pytest.raises(ParameterStoreError, match="Unreachable"):
            self.shared.write_status(ROTATION, "{}")


def test_everything_is_passed_on() -> None:
    world = World()
    assert world.shared.create_status(ROTATION, "{}") == 1
    assert world.shared.write_token(ROTATION, Secret("token")) == 1
    assert world.shared.write_status(ROTATION, '{"schema": 1}') == 2
    read = world.shared.read([TOKEN, STATUS])
    assert {name: each.value for name, each in read.items()} == {TOKEN: "encrypted", STATUS: '{"schema": 1}'}
    (page,) = world.shared.read_path("/healthwise")
    assert page.keys() == read.keys()


def test_there_is_a_connection_for_each_write() -> None:
    assert aws.CONNECTIONS == WRITES_AT_A_TIME


def test_no_more_writes_are_under_way_than_there_are_connections() -> None:
    world, lock, full = World(), Lock(), Barrier(WRITES_AT_A_TIME)
    under_way = most = 0

    def write(_name: str) -> None:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        full.wait(10)  # so many come together, and not one more
        with lock:
            under_way -= 1

    world.store.before_write = write
    with ThreadPoolExecutor(3 * WRITES_AT_A_TIME) as pool:
        list(pool.map(lambda _: world.shared.write_status(ROTATION, "{}"), range(3 * WRITES_AT_A_TIME)))
    assert most == WRITES_AT_A_TIME


@pytest.mark.parametrize("write", ["token", "status", "first status"])
def test_after_a_write_that_hung_none_is_begun_that_could_outlast_the_run(write: str) -> None:
    world = World()
    world.hang()
    before = list(world.store.writes)
    with pytest.raises(ParameterStoreError, match="was not written: nobody answered another write") as caught:
        {
            "token": lambda: world.shared.write_token(ROTATION, Secret("token")),
            "status": lambda: world.shared.write_status(ROTATION, "{}"),
            "first status": lambda: world.shared.create_status(ROTATION, "{}"),
        }[write]()
    assert world.store.writes == before
    assert (caught.value.unreachable, caught.value.passing) == (True, False)
    assert (TOKEN if write == "token" else STATUS) in caught.value.problem.split()


def test_those_that_wait_for_a_connection_do_not_hang_one_after_another() -> None:
    world, everybody_waits, lock, tried = World(), Event(), Lock(), 0

    def hang(_name: str) -> None:
        nonlocal tried
        with lock:
            tried += 1
        everybody_waits.wait(10)
        with lock:
            world.clock.time = max(world.clock.time, fakes.START + timedelta(seconds=35))
        raise hung()

    world.store.before_write = hang
    with ThreadPoolExecutor(40) as pool:
        writes = [pool.submit(world.shared.write_token, ROTATION, Secret("token")) for _ in range(40)]
        everybody_waits.set()
        assert all(isinstance(write.exception(), ParameterStoreError) for write in writes)
    assert WRITES_AT_A_TIME <= tried < 2 * WRITES_AT_A_TIME


def test_a_long_run_tries_the_next_write_and_goes_on_if_that_works() -> None:
    world = World(budget=900)
    world.hang()
    assert world.shared.write_status(ROTATION, "{}") == 1
    world.clock.sleep(900 - 35 - 1)
    assert world.shared.write_status(ROTATION, "{}") == 2


@pytest.mark.parametrize(("seconds_left", "is_tried"), [(7.1, True), (7, False)])
def test_a_token_is_tried_after_another_write_as_long_as_it_could_not_outlast_the_run(
    seconds_left: float, is_tried: bool
) -> None:
    """It was issued, and the old one may have ended for it."""
    world = World()
    world.hang(seconds=7)
    world.clock.sleep(53 - seconds_left)
    with nullcontext() if is_tried else pytest.raises(ParameterStoreError, match="was not written"):
        assert world.shared.write_token(ROTATION, Secret("token")) == 1


def test_no_token_is_written_when_the_claim_may_have_ended_while_it_waited() -> None:
    world = World()
    shared = SharedParameters(world.store, replace(fakes.run(world.clock), overrun=10))
    world.clock.sleep(60)
    with pytest.raises(ParameterStoreError, match=f"was over before {TOKEN} could be written"):
        shared.write_token(ROTATION, Secret("token"))
    assert world.store.writes == []


@pytest.mark.parametrize(("late", "is_written"), [(9, True), (10, False)])
def test_a_status_may_follow_within_the_overrun(late: float, is_written: bool) -> None:
    world = World()
    run = replace(fakes.run(world.clock), overrun=10)
    shared = SharedParameters(world.store, run)
    world.clock.sleep(60 + late)
    with nullcontext() if is_written else pytest.raises(ParameterStoreError, match="time was over"):
        assert shared.write_status(ROTATION, "{}") == 1


def test_whoever_is_to_begin_is_told_before_it_costs_anything() -> None:
    world = World()
    world.shared.check(STATUS)
    world.hang()
    with pytest.raises(ParameterStoreError, match=f"the parameter {STATUS} was not written"):
        world.shared.check(STATUS)


def test_a_write_that_was_refused_is_no_reason_not_to_try_the_next() -> None:
    """However long it took to be."""
    world = World()

    def deny(_name: str) -> None:
        world.store.before_write = lambda _name: None
        world.clock.sleep(35)
        raise ParameterStoreError("denied", advice="allow it")

    world.store.before_write = deny
    with pytest.raises(ParameterStoreError, match="denied"):
        world.shared.write_status(ROTATION, "{}")
    assert world.shared.write_token(ROTATION, Secret("token")) == 1

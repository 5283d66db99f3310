"""A run with replica Regions: they are independent, and the next run updates replicas that are behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

import fake_ports
from fake_ports import FakeParameterStore, rotation
from fleet_with_workers import Workshop
from replicas_in_memory import DENIED, DOWN, IRELAND, OREGON, REGIONS, TOKEN, Hanging, World, fleet_of, opener
from rotator.errors import SettingsError, TokenEndpointUnavailable
from rotator.fleet.write_rate import WriteRate
from rotator.renewal.deadline import Deadline
from rotator.renewal.models import Outcome, Parameter, Summary
from rotator.renewal.ports import Run
from rotator.replication import region_copies
from rotator.replication.region_copies import Replica


@pytest.fixture
def world() -> World:
    return World()


def test_renewal_writes_the_same_token_in_each_region(world: World) -> None:
    summary = world.run()
    assert len(set(world.tokens())) == 1
    assert [r.outcome for r in summary.results] == [Outcome.ROTATED]
    assert (summary.warnings, summary.results[0].replicas_behind) == ((), ())


def test_home_is_written_before_any_replica(world: World) -> None:
    order: list[str] = []
    for place, store in (("home", world.home), *world.stores.items()):
        store.before_write = lambda name, place=place: order.append(f"{place}{name}")  # type: ignore[misc]
    world.run()
    assert order[:3] == [f"home{TOKEN}{suffix}" for suffix in ("/lease", "", "/status")]
    for region in world.stores:
        ours = [each for each in order if each.startswith(region)]
        assert ours == [f"{region}{TOKEN}", f"{region}{TOKEN}/status"]


@pytest.mark.parametrize("kind", ["read", "token", "status"])
def test_failed_replica_is_a_warning_and_next_run_writes_it(kind: str, world: World) -> None:
    world.stores[IRELAND].fails[kind] = DENIED
    summary = world.run()
    assert [r.outcome for r in summary.results] == [Outcome.ROTATED]
    assert not summary.failed
    assert summary.results[0].replicas_behind == (IRELAND,)
    [warning] = summary.warnings
    assert warning == f"rotation default: its replica in {IRELAND} could not be updated: {DENIED}"
    assert world.tokens()[0] == world.tokens()[2]
    world.stores[IRELAND].fails.clear()
    requests = len(world.ports.token_endpoint.requests)
    mended = world.run()
    assert [r.outcome for r in mended.results] == [Outcome.FRESH]
    assert (mended.warnings, mended.results[0].replicas_behind) == ((), ())
    assert len(set(world.tokens())) == 1
    assert len(world.ports.token_endpoint.requests) == requests == 1
    status, token = world.stores[IRELAND].status(), world.stores[IRELAND].parameters[TOKEN]
    assert status["parameter_version"] == token.version


def test_run_with_replicas_up_to_date_writes_nothing(world: World) -> None:
    world.run()
    for store in (world.home, *world.stores.values()):
        store.writes.clear()
    home_reads = world.home.reads
    world.run()
    assert [store.writes for store in (world.home, *world.stores.values())] == [[], [], []]
    assert world.home.reads == home_reads + 1


def test_failure_at_home_still_updates_a_replica_that_is_behind(world: World) -> None:
    world.stores[IRELAND].fails["token"] = DENIED
    world.run()
    world.stores[IRELAND].fails.clear()
    world.clock.sleep(0.8 * fake_ports.DAY)
    down = TokenEndpointUnavailable("the endpoint is down", advice="wait")
    world.ports.token_endpoint.answers.append(down)
    summary = world.run()
    assert [r.outcome for r in summary.results] == [Outcome.FAILED]
    assert len(set(world.tokens())) == 1


class LongOutage:
    """A token endpoint whose requests take all of a run's time; the first waits for the copies."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.copied = threading.Event()
        read = world.stores[OREGON].read

        def watched(names: Sequence[str]) -> Mapping[str, Parameter]:
            try:
                return read(names)
            finally:
                self.copied.set()

        world.stores[OREGON].read = watched  # type: ignore[method-assign]

    def request(self, *_: object, **__: object) -> None:
        self.copied.wait(2)
        time.sleep(0.2)
        self.world.clock.sleep(50)
        raise TokenEndpointUnavailable("the endpoint is down", advice="wait")


@pytest.mark.parametrize("options", [{}, {"names": ["default"]}])
def test_long_outage_of_the_endpoint_delays_no_copy(options: dict[str, Any], world: World) -> None:
    world.stores[IRELAND].fails["token"] = DENIED
    world.run()
    world.stores[IRELAND].fails.clear()
    world.clock.sleep(0.8 * fake_ports.DAY)
    world.ports.token_endpoint.request = LongOutage(world).request  # type: ignore[method-assign, assignment]
    summary = world.run(**options)
    assert [(r.outcome, r.replicas_behind) for r in summary.results] == [(Outcome.FAILED, ())]
    assert len(set(world.tokens())) == 1


def test_expired_token_is_not_copied(world: World) -> None:
    world.stores[IRELAND].fails["read"] = DENIED
    world.run()
    world.stores[IRELAND].fails.clear()
    world.clock.sleep(2 * fake_ports.DAY)
    world.ports.token_endpoint.answers.append(TokenEndpointUnavailable("it is down", advice="wait"))
    world.run()
    assert world.tokens()[1] is None


def test_dry_run_changes_no_replica(world: World) -> None:
    world.run()
    world.clock.sleep(0.8 * fake_ports.DAY)
    world.stores[IRELAND].parameters.clear()
    reads = [store.reads for store in world.stores.values()]
    summary = world.run(dry_run=True)
    assert [r.outcome for r in summary.results] == [Outcome.ROTATED]
    assert world.stores[IRELAND].parameters == {}
    assert [store.reads for store in world.stores.values()] == reads


def test_forced_run_does_not_copy_the_old_token(world: World) -> None:
    world.stores[IRELAND].fails["token"] = DENIED
    world.run()
    world.stores[IRELAND].fails.clear()
    copies: list[Sequence[str]] = []
    read = world.home.read_decrypted

    def watched(names: Sequence[str]) -> Mapping[str, Parameter]:
        copies.append(names)
        return read(names)

    world.home.read_decrypted = watched  # type: ignore[method-assign]
    world.run(force=True)
    assert len(copies) == len(REGIONS)
    assert len(set(world.tokens())) == 1


def test_forced_run_copies_the_new_token(world: World) -> None:
    world.run()
    first = world.tokens()[0]
    summary = world.run(force=True)
    assert [r.outcome for r in summary.results] == [Outcome.ROTATED]
    assert len(set(world.tokens())) == 1
    assert world.tokens()[0] != first


def test_named_rotation_that_is_fresh_is_copied(world: World) -> None:
    world.stores[OREGON].fails["token"] = DENIED
    world.run()
    world.stores[OREGON].fails.clear()
    summary = world.run(names=["default"])
    assert [r.outcome for r in summary.results] == [Outcome.FRESH]
    assert len(set(world.tokens())) == 1


def test_each_rotation_of_a_fleet_is_copied() -> None:
    world = World(fleet_of("a", "b", "c", "d", "e", "f"))
    world.stores[IRELAND].fails["status"] = DENIED
    summary = world.run()
    assert [r.replicas_behind for r in summary.results] == [(IRELAND,)] * 6
    world.stores[IRELAND].fails.clear()
    reads = world.stores[OREGON].reads
    assert world.run().warnings == ()
    for name in "abcdef":
        assert len(set(world.tokens(f"/{name}/token"))) == 1
    assert world.stores[OREGON].reads == reads + 2, "five rotations a call"


def test_replica_of_another_type_concerns_its_rotation_alone() -> None:
    world = World(fleet_of("a", "b"))
    world.stores[IRELAND].put("/a/token", "of another program", "String")
    summary = world.run()
    assert [r.replicas_behind for r in summary.results] == [(IRELAND,), ()]
    assert "/a/token is a String, not a SecureString; delete this parameter" in summary.warnings[0]
    again = world.run()
    assert [r.replicas_behind for r in again.results] == [(IRELAND,), ()]
    assert world.stores[IRELAND].parameters["/a/token"].value == "of another program"


def test_region_that_does_not_respond_is_asked_once_a_run() -> None:
    world = World(fleet_of("a", "b", "c"))
    world.stores[IRELAND].fails["read"] = DOWN
    summary = world.run()
    assert [r.replicas_behind for r in summary.results] == [(IRELAND,)] * 3
    assert world.stores[IRELAND].reads <= region_copies.COPIES_AT_A_TIME
    assert world.stores[OREGON].parameters.keys() == {
        f"/{n}/token{s}" for n in "abc" for s in ("", "/status")
    }


def test_warnings_of_a_region_are_ten_and_a_number() -> None:
    world = World(fleet_of(*(f"r{number:02}" for number in range(15))))
    world.stores[IRELAND].fails["read"] = DENIED
    warnings = world.run().warnings
    assert len(warnings) == 11
    assert warnings[-1] == "5 more warnings of this kind"


@pytest.mark.parametrize(
    "error",
    [SettingsError("eu-west-1 is the home Region", advice="remove it"), ValueError("a defect")],
)
def test_region_that_cannot_be_opened_concerns_no_other(error: Exception, world: World) -> None:
    def fail() -> FakeParameterStore:
        raise error

    world.replicas = (Replica(region=IRELAND, open=fail, write_rate=WriteRate(1e9)), world.replicas[1])
    for _ in range(2):
        summary = world.run()
        assert summary.results[0].replicas_behind == (IRELAND,)
        assert not summary.failed
    assert world.tokens()[0] == world.tokens()[2]


def test_slow_replica_delays_neither_the_run_nor_another_region(world: World) -> None:
    hanging = Hanging()
    world.replicas = (
        Replica(region=IRELAND, open=opener(hanging), write_rate=WriteRate(1e9)),
        world.replicas[1],
    )
    end = time.monotonic() + 2
    deadline = Deadline(lambda: end - time.monotonic())
    try:
        run = Run(id="run", now=world.clock.now, deadline=deadline, budget=2)
        summary = world.rotator().run_scheduled(run)
        assert deadline.remaining() > 0
        assert summary.results[0].outcome is Outcome.ROTATED
        assert summary.results[0].replicas_behind == (IRELAND,)
        assert (
            "Parameter Store did not respond before the end of the run; the next run tries again"
            in summary.warnings[0]
        )
        assert world.tokens()[0] == world.tokens()[2]
    finally:
        hanging.released.set()


def test_no_copy_begins_at_the_end_of_a_run(world: World) -> None:
    world.ports.token_endpoint.latency = 49.5
    summary = world.run(budget=60)
    assert summary.results[0].outcome is Outcome.ROTATED
    assert summary.results[0].replicas_behind == (IRELAND, OREGON)
    assert (
        "the run's time ran out before the replica was written; the next run tries again"
        in summary.warnings[0]
    )
    assert world.run().warnings == ()
    assert len(set(world.tokens())) == 1


def test_no_copy_of_a_short_run_outlasts_its_report(world: World) -> None:
    world.ports.token_endpoint.latency = 20
    summary = world.run(budget=30)
    assert summary.results[0].outcome is Outcome.ROTATED
    assert summary.results[0].replicas_behind == (IRELAND, OREGON)
    assert [store.writes for store in world.stores.values()] == [[], []]


def test_write_rate_of_a_region_bounds_its_copies() -> None:
    world = World(fleet_of("a", "b", "c"))
    slow = WriteRate(0.1)
    world.replicas = (Replica(region=IRELAND, open=opener(world.stores[IRELAND]), write_rate=slow),)
    summary = world.run(budget=2)
    assert sorted(r.replicas_behind for r in summary.results) == [(), (IRELAND,), (IRELAND,)]
    assert "time ran out" in summary.warnings[0]
    assert [r.outcome for r in summary.results] == [Outcome.ROTATED] * 3


def test_observer_sees_each_result_and_a_copy_needs_none(world: World) -> None:
    seen: list[str] = []

    def observe(result: Any) -> None:
        seen.append(result.name)
        raise ValueError

    world.run(on_result=observe)
    assert seen == ["default"]
    assert len(set(world.tokens())) == 1


@pytest.mark.parametrize("expired", [False, True])
def test_busy_rotation_is_copied_while_its_token_is_valid(*, expired: bool, world: World) -> None:
    world.run()
    world.clock.sleep((2 if expired else 0.8) * fake_ports.DAY)
    world.stores[IRELAND].parameters.clear()
    world.home.put_lease(rotation(), expires_at=world.clock.time + timedelta(seconds=50))
    reads = [store.reads for store in world.stores.values()]
    summary = world.run()
    assert [r.outcome for r in summary.results] == [Outcome.BUSY]
    if expired:
        assert [store.reads for store in world.stores.values()] == reads
        assert TOKEN not in world.stores[IRELAND].parameters
    else:
        assert len(set(world.tokens())) == 1


def test_worker_copies_what_it_renews() -> None:
    shop, store = Workshop("a", "b"), FakeParameterStore()
    replica = Replica(region=IRELAND, open=opener(store), write_rate=WriteRate(1e9))
    shop.rotator = replace(shop.rotator, replicas=(replica,))
    assert {r.outcome for r in shop.run_once().results} == {Outcome.BUSY}
    assert store.reads == 0
    summary = shop.work("a")
    assert [(r.name, r.outcome, r.replicas_behind) for r in summary.results] == [("a", Outcome.ROTATED, ())]
    assert store.parameters.keys() == {"/tokens/a", "/tokens/a/status"}
    store.parameters.clear()
    shop.run_once()
    assert store.parameters.keys() == {"/tokens/a", "/tokens/a/status"}


def test_summary_with_replicas_behind_survives_json(world: World) -> None:
    world.stores[IRELAND].fails["read"] = DENIED
    summary = world.run()
    fields = summary.to_dict()
    assert fields["rotations"][0]["replicas_behind"] == [IRELAND]
    assert Summary.from_dict(fields).results[0].replicas_behind == (IRELAND,)
    assert "replicas_behind" not in World().run().to_dict()["rotations"][0]

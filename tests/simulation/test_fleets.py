"""Fleets in virtual time: some of the soak's, and that a violation is noticed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from functools import cache

import pytest

from rotator.fleet import scheduler
from rotator.fleet.circuit_breaker import CircuitBreaker
from rotator.fleet.urgency import Due
from rotator.fleet.write_rate import WriteRate
from rotator.renewal.guarantee import Guarantee
from rotator.renewal.policy import RUN_BUDGET_SECONDS
from rotator.simulation.calls import Fault
from rotator.simulation.scenario import DAY, Behaviour, Scenario
from soak import random_fleets
from soak import run as soak
from soak.fleet_world import ENDPOINT_DOWN, FleetScenario, FleetWorld
from soak.health import has_valid_token, is_healthy

HOUR = 3600.0


FLEETS = (2, 3, 8, 11)
"""The numbers of random fleets that together have every kind of fault; `make soak` simulates 200 fleets."""

simulated = cache(soak.simulate_fleet)


@pytest.mark.parametrize("number", FLEETS)
def test_fleet_keeps_every_guarantee_within_failure_budget(number: int) -> None:
    lived = simulated(number)
    assert lived.violations == ()
    assert lived.token_requests > 20


def test_fleet_is_the_same_every_time() -> None:
    assert soak.simulate_fleet(3) == simulated(3)


def test_simulated_fleets_cover_every_kind() -> None:
    drawn = [random_fleets.random_fleet(number) for number in FLEETS]
    assert {each.workers for each in drawn} == {0, 2, 4}
    for kind in ("slow_hosts", "down_hosts", "broken", "rejected"):
        assert {bool(getattr(each, kind)) for each in drawn} == {False, True}
    assert any(each.quota < each.write_rate for each in drawn)
    shared = [len({tenant.rotation.token_endpoint for tenant in each.scenarios}) for each in drawn]
    assert min(shared) <= 3
    assert max(shared) > 12


def scenario(name: str, endpoint: str = "https://host.example.test/token", lifetime: float = DAY) -> Scenario:
    base = Scenario(guarantee=Guarantee(schedule_interval=300, consumer_cache=300), lifetime=lifetime)
    rotation = replace(
        base.rotation, name=name, secret_id=name, parameter_name=f"/{name}", token_endpoint=endpoint
    )
    return replace(base, rotation=rotation)


def of_one_host(count: int = 20, **changes: object) -> FleetScenario:
    tenants = tuple(scenario(f"tenant-{number:02}") for number in range(count))
    return replace(FleetScenario(scenarios=tenants, hosts=(0,) * count), **changes)  # type: ignore[arg-type]


def run_once(world: FleetWorld) -> None:
    world.start_run(world.timeline.seconds)
    world.timeline.run_until(world.timeline.seconds + RUN_BUDGET_SECONDS)


def test_first_run_renews_up_to_the_write_rate() -> None:
    world = FleetWorld(of_one_host(40))
    run_once(world)
    assert (world.outcomes["rotated"], world.outcomes["failed"]) == (30, 10)
    run_once(world)
    assert world.outcomes["rotated"] == 40


def test_workers_renew_the_enqueued_rotations() -> None:
    world = FleetWorld(of_one_host(25, workers=2))
    world.start_schedule()
    world.timeline.run_until(299)
    assert world.outcomes["rotated"] == 25
    assert all(is_healthy(tenant) for tenant in world.healthy)


def test_duplicate_messages_renew_once() -> None:
    world = FleetWorld(of_one_host(10, workers=4), rates_of=lambda _host: lambda _now: TWICE)
    world.start_schedule()
    world.timeline.run_until(299)
    assert [tenant.provider.requests for tenant in world.healthy] == [1] * 10
    assert world.violations == []


TWICE = replace(Scenario().rates, duplicated=1.0)


def test_failing_host_and_clients_do_not_affect_the_others() -> None:
    tenants = tuple(
        scenario(f"tenant-{n:02}", f"https://host-{n % 3}.example.test/token", lifetime=2 * HOUR)
        for n in range(20)
    )
    drawn = FleetScenario(
        scenarios=tenants,
        hosts=tuple(n % 3 for n in range(20)),
        down_hosts=frozenset({0}),
        slow_hosts=frozenset({1}),
        rejected=frozenset({"tenant-01", "tenant-02"}),
        broken=("broken",),
    )
    world = FleetWorld(drawn)
    world.start_schedule()
    world.timeline.run_until(DAY)
    for tenant in world.healthy:
        tenant.consumers.close(world.timeline.seconds)
    assert (world.expired_seconds, world.violations) == (0, [])
    assert all(tenant.consumers.history for tenant in world.healthy)
    assert len(world.healthy) == 11


# A test that cannot fail would be worth nothing.


def test_circuit_breaker_that_never_opens_is_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CircuitBreaker, "allows", lambda _self: True)
    world = FleetWorld(of_one_host(20, write_rate=5.0), rates_of=lambda _host: ENDPOINT_DOWN)
    run_once(world)
    assert "renewals asked an endpoint that is down" in world.violations[0]


def test_order_that_starves_a_rotation_is_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rotations that can never be renewed come first in every run, and leave no time for other rotations."""

    def broken_first(due: Iterable[Due], _now: datetime) -> list[Due]:
        return sorted(due, key=lambda each: each.rotation.name)

    monkeypatch.setattr(scheduler, "by_urgency", broken_first)
    drawn = of_one_host(40, write_rate=1.0, rejected=frozenset(f"tenant-{n:02}" for n in range(20)))
    tenants = tuple(replace(each, lifetime=2 * HOUR) for each in drawn.scenarios)
    world = FleetWorld(replace(drawn, scenarios=tenants))
    world.start_schedule()
    world.timeline.run_until(12 * HOUR)
    assert not all(has_valid_token(tenant) for tenant in world.healthy)


def test_unlimited_write_rate_fails_rotations(monkeypatch: pytest.MonkeyPatch) -> None:
    """The account throttles them, and tokens that were issued cannot be stored."""
    monkeypatch.setattr(WriteRate, "delay", lambda _self: 0.0)
    revokes_older = of_one_host(20, quota=2.0).scenarios
    tenants = tuple(replace(each, behaviour=Behaviour.REVOKES_OLDER) for each in revokes_older)
    world = FleetWorld(replace(of_one_host(20, quota=2.0), scenarios=tenants))
    run_once(world)
    assert world.outcomes["failed"] > 5


def test_killed_run_stops_its_renewals_and_the_next_recovers() -> None:
    calls = 0

    def die_at_the_hundredth_call() -> Fault | None:
        nonlocal calls
        calls += 1
        return Fault.KILLED_BEFORE if calls == 100 else None

    world = FleetWorld(of_one_host(20, write_rate=50.0))
    world.next_fault = die_at_the_hundredth_call
    run_once(world)
    assert world.outcomes["killed"] == 1
    written = len([name for name in world.store.parameters if name.count("/") == 1])
    world.timeline.run_until(world.timeline.seconds + RUN_BUDGET_SECONDS)
    assert len([name for name in world.store.parameters if name.count("/") == 1]) == written < 20
    run_once(world)
    assert all(has_valid_token(tenant) for tenant in world.healthy)

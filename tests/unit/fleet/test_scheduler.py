"""Multiple renewals in one run: their order, the write rate, the time, and their results."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from threading import Thread, current_thread
from typing import Any

import pytest

import fake_ports
from fake_ports import DAY
from fleet_in_memory import (
    CONTRACT,
    HOUR,
    FleetRun,
    hosts,
    member,
    members,
    outcomes,
)
from rotator.fleet.run import run_fleet
from rotator.fleet.scheduler import MAX_RENEWALS
from rotator.renewal.deadline import Deadline
from rotator.renewal.models import Outcome, Parameter, Result
from rotator.renewal.ports import Run

MORE = (
    "raise WritesPerSecond of the stack (ROTATOR_WRITES_PER_SECOND) if the account's quota allows it, or "
    "raise TimeoutSeconds of the stack"
)


# Order and write rate.


def test_renewal_writes_lease_token_and_status() -> None:
    world = FleetRun(*members(30))
    world.run(threads=True)
    assert len(world.writes) == 90


def test_soonest_expiry_is_renewed_first() -> None:
    world = FleetRun(*reversed(members(12))).served(seconds_apart=60).later(20 * HOUR)
    world.run(rate=2)
    assert world.begun() == [f"r{number:03}" for number in reversed(range(12))]


def test_write_rate_limits_run_and_defers_other_rotations() -> None:
    world = FleetRun(*members(100)).served(seconds_apart=1).later(17 * HOUR)
    summary = world.run(rate=2)
    counts = summary.to_dict()
    assert (counts["rotated"], counts["busy"], counts["failed"]) == (31, 69, 0)
    assert len(world.writes) == 93
    assert {result.reason for result in summary.results if result.outcome is Outcome.BUSY} == {
        "the run's time ran out; the next run starts with the token that expires first"
    }
    assert counts["warnings"] == [
        f"due rotations postponed to the next run for lack of time: 69; if that lasts, {MORE}"
    ]


def test_next_run_renews_only_deferred_rotations() -> None:
    world = FleetRun(*members(50)).served(seconds_apart=1).later(17 * HOUR)
    first = world.run(rate=2)
    rotated = {name for name, outcome in outcomes(first).items() if outcome is Outcome.ROTATED}
    world.forget()
    world.later(300)
    second = world.run(rate=2)
    assert second.to_dict()["rotated"] == 50 - len(rotated)
    assert not rotated & set(world.begun())


def test_late_deferred_rotation_fails_with_advice() -> None:
    world = FleetRun(*members(100)).served().later(23 * HOUR)
    summary = world.run(rate=2)
    failed = [result for result in summary.results if result.outcome is Outcome.FAILED]
    assert len(failed) == 69
    assert {result.error_kind for result in failed} == {"NotReached"}
    assert all(result.late for result in failed)
    assert {result.next_try for result in failed} == {world.clock.now() + timedelta(seconds=300 - 45)}
    assert {result.seconds_remaining for result in failed} == {HOUR - 45}
    assert str(failed[0].error).endswith(MORE)


def test_dry_run_reports_all_without_writes_or_requests() -> None:
    world = FleetRun(*members(100))
    summary = world.run(rate=2, dry_run=True)
    assert summary.to_dict()["rotated"] == 100
    assert (world.writes, world.ports.token_endpoint.requests) == ([], [])


@pytest.mark.parametrize("count", [1, 3])
def test_rotation_that_failed_comes_last_in_the_next_run(count: int) -> None:
    broken = member("broken", secret_id="missing")
    world = FleetRun(broken, *members(count)).served(seconds_apart=1).later(17 * HOUR)
    assert world.run().to_dict()["failed"] == 1
    world.forget()
    world.later(18 * HOUR).run()
    assert world.begun() == [*(f"r{number:03}" for number in range(count)), "broken"]


def test_expired_token_whose_renewal_failed_yields_to_valid_ones() -> None:
    world = FleetRun(*members(2)).served().later(17 * HOUR)
    world.ports.token_endpoint.answers.append((401, {"error": "invalid_client"}))
    assert outcomes(world.run()) == {"r000": Outcome.FAILED, "r001": Outcome.ROTATED}
    world.forget()
    world.later(16.5 * HOUR).run()
    assert world.begun() == ["r001", "r000"]


def test_single_due_rotation_is_read_twice() -> None:
    """A single rotation has no order, and its renewal reads the lease."""
    world = FleetRun(*members(1))
    world.run()
    assert world.ports.parameters.reads == 2


def test_forced_rotations_without_time_fail_with_advice() -> None:
    world = FleetRun(*members(100)).served()
    summary = world.run(rate=2, force=True)
    assert summary.to_dict()["failed"] == 69
    (error,) = {result.error for result in summary.results if result.error}
    assert error
    assert error.startswith("the run's time ran out before this forced renewal began; try again")
    assert summary.warnings[0].startswith("rotations not renewed because the run's time ran out: 69; ")


@pytest.mark.parametrize(("seconds_gone", "begun"), [(0.9, 1), (1.1, 0)])
def test_short_run_reserves_an_eighth_of_its_time_for_requests(seconds_gone: float, begun: int) -> None:
    world = FleetRun(*members(1))
    run = fake_ports.run(world.clock, budget=16)
    world.clock.sleep(9 + seconds_gone)  # a quarter is for writes, and an eighth is a reserve
    run_fleet(world.fleet, world.ports, run, CONTRACT)
    assert len(world.ports.token_endpoint.requests) == begun


def test_leased_rotation_is_busy_and_takes_no_slot() -> None:
    world = FleetRun(*members(3))
    until = world.clock.now() + timedelta(seconds=50)
    world.ports.parameters.put_lease(world.fleet.rotations[0], expires_at=until)
    world.forget()
    summary = world.run()
    assert outcomes(summary)["r000"] is Outcome.BUSY
    assert summary.results[0].reason == "another run holds the lease until 2026-11-24T06:00:50Z"
    assert world.begun() == ["r001", "r002"]


def test_lease_that_cannot_be_read_fails_its_own_rotation_only() -> None:
    world = FleetRun(*members(3))
    secure = Parameter(value="x", version=1, type="SecureString")
    world.ports.parameters.parameters["/fleet/r001/lease"] = secure
    summary = world.run()
    assert [result.outcome for result in summary.results] == [
        Outcome.ROTATED,
        Outcome.FAILED,
        Outcome.ROTATED,
    ]
    assert "/fleet/r001/lease is a SecureString" in str(summary.results[1].error)


# Reports.


def test_each_result_is_reported_once() -> None:
    world = FleetRun(*members(20), member("broken", secret_id="missing"))
    reported: list[Result] = []
    summary = world.run(on_result=reported.append, threads=True)
    assert sorted(reported, key=lambda result: result.name) == list(summary.results)


def test_failing_result_callback_stops_no_renewal() -> None:
    def explode(_result: Result) -> None:
        raise BrokenPipeError

    assert FleetRun(*members(20)).run(on_result=explode, threads=True).to_dict()["rotated"] == 20


def test_unforeseen_error_fails_only_its_own_rotation() -> None:
    world = FleetRun(*members(30))

    def explode(name: str) -> None:
        if name.startswith("/fleet/r007"):
            raise ZeroDivisionError

    world.ports.parameters.before_write = explode
    found = outcomes(world.run(threads=True))
    assert [name for name, outcome in found.items() if outcome is Outcome.FAILED] == ["r007"]


def test_interrupted_run_begins_no_further_renewals() -> None:
    world = FleetRun(*hosts(100))
    begun: list[str] = []
    interrupted = KeyboardInterrupt()

    def interrupt(name: str) -> None:
        begun.append(name)
        raise interrupted

    world.ports.parameters.before_write = interrupt
    with pytest.raises(KeyboardInterrupt):
        world.run(threads=True)
    assert len(begun) <= MAX_RENEWALS


# Time.


def test_rotation_not_read_in_time_fails_without_renewal() -> None:
    world = FleetRun(*members(7))
    run = Run(id="run", now=world.clock.now, deadline=Deadline(lambda: 0.0), budget=60)
    summary = run_fleet(world.fleet, world.ports, run, CONTRACT)
    assert {result.error_kind for result in summary.results} == {"ParameterStoreError"}
    assert "before its parameters were read" in str(summary.results[0].error)
    assert (world.ports.parameters.reads, world.writes) == (0, [])


@pytest.mark.parametrize("readers", [0, 2])
def test_parameters_are_read_concurrently_only_with_readers(readers: int) -> None:
    world = FleetRun(*members(20)).served().later(17 * HOUR)
    read = world.ports.parameters.read
    threads: dict[bool, set[Thread]] = {False: set(), True: set()}

    def watch(names: Sequence[str]) -> Any:
        threads[any(name.endswith("/lease") for name in names)].add(current_thread())
        return read(names)

    world.ports.parameters.read = watch  # type: ignore[method-assign]
    world.run(readers=readers)
    assert [len(each) > 1 for each in threads.values()] == [bool(readers)] * 2


def test_leases_are_read_in_half_of_the_run_at_most() -> None:
    """A rotation whose lease was not read by then is renewed as if no attempt had failed."""
    world = FleetRun(*members(20)).served().later(17 * HOUR)
    read = world.ports.parameters.read

    reads_of_leases = 0

    def read_slowly(names: Sequence[str]) -> Any:
        nonlocal reads_of_leases
        world.clock.sleep(7)
        reads_of_leases += sum(name.endswith("/lease") for name in names) > 1
        return read(names)

    world.ports.parameters.read = read_slowly  # type: ignore[method-assign]
    summary = world.run(readers=0)
    assert reads_of_leases == 1
    assert {result.outcome for result in summary.results} == {Outcome.BUSY, Outcome.ROTATED}


def test_renewals_of_a_fleet_created_in_one_minute_drift_apart() -> None:
    """The jitter is stable and adds up over lifetimes: the third renewals are spread three times as far."""
    world = FleetRun(*members(40)).served(seconds_apart=1)
    spread = []
    for _ in range(3):
        times = [
            world.ports.parameters.status(each.status_name)["renew_at"] for each in world.fleet.rotations
        ]
        spread.append((fake_ports.time(max(times)) - fake_ports.time(min(times))).total_seconds())
        for _ in range(DAY // 300):
            world.later(300).run()
            now = [world.ports.parameters.status(r.status_name)["renew_at"] for r in world.fleet.rotations]
            if all(new != old for new, old in zip(now, times, strict=True)):
                break
    assert spread[0] > 1000
    assert spread[2] > 2 * spread[0]

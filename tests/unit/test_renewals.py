"""Many renewals in one run: what they share, what they cost each other, and what is left of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from threading import Barrier, Event
from typing import Any

import pytest

import fakes
from fakes import DAY, Clock, FakePorts, rotation
from rotator import renewals
from rotator.agenda import AT_A_TIME
from rotator.contract import Contract
from rotator.errors import TokenEndpointUnavailable
from rotator.fleet import Fleet, run_fleet
from rotator.model import Outcome, Result, Rotation, Stage, Summary
from rotator.oauth import TokenRequest, TokenResponse
from rotator.pace import Pace
from rotator.ports import Run

pytestmark = pytest.mark.usefixtures("nobody_waits_for_ever")

CONTRACT = Contract(schedule_interval=300, consumer_cache=300)
HOUR = 3600
GOOD, BAD = "https://good.example.test/token", "https://bad.example.test/token"
DOWN = TokenEndpointUnavailable("the endpoint could not be reached", advice="try again")

MORE = (
    "raise WritesPerSecond of the stack (ROTATOR_WRITES_PER_SECOND) if the account's quota allows it, or "
    "raise TimeoutSeconds of the stack"
)


def member(name: str, endpoint: str = GOOD, **settings: Any) -> Rotation:
    return rotation(name=name, parameter_name=f"/fleet/{name}", token_endpoint=endpoint, **settings)


def members(count: int, endpoint: str = GOOD, prefix: str = "r") -> list[Rotation]:
    return [member(f"{prefix}{number:03}", endpoint) for number in range(count)]


class World:
    """A fleet, its ports, and runs."""

    def __init__(self, *rotations: Rotation) -> None:
        self.clock = Clock()
        self.ports: FakePorts = fakes.ports(self.clock)
        self.fleet = Fleet(rotations=rotations)

    def run(self, *, budget: float = 60, pace: float | None = None, **options: Any) -> Summary:
        run = fakes.run(self.clock, budget=budget)
        if pace:
            seconds = Pace(pace, clock=lambda: self.clock.now().timestamp(), sleep=self.clock.sleep)
            run = replace(run, pace=seconds)
        return run_fleet(self.fleet, self.ports, run, CONTRACT, **options)

    def served(self, seconds_apart: float = 0) -> World:
        """Let every rotation have a token, each a little younger than the one before."""
        for each in self.fleet.rotations:
            one = Fleet(rotations=(each,))
            run_fleet(one, self.ports, fakes.run(self.clock), CONTRACT)
            self.clock.sleep(seconds_apart)
        self.forget()
        return self

    def later(self, seconds: float) -> World:
        self.clock.sleep(seconds)
        return self

    def forget(self) -> None:
        self.ports.parameters.writes.clear()
        self.ports.token_endpoint.requests.clear()
        self.ports.secrets.batches.clear()
        self.ports.secrets.reads = 0

    @property
    def writes(self) -> list[str]:
        return self.ports.parameters.writes

    def claims(self) -> list[str]:
        """The rotations in the order in which they were claimed: each has its first write then."""
        return list(dict.fromkeys(name.split("/")[2] for name in self.writes))


def outcomes(summary: Summary) -> dict[str, Outcome]:
    return {result.name: result.outcome for result in summary.results}


def only(summary: Summary) -> Result:
    (result,) = summary.results
    return result


# Shared reads.


def test_a_hundred_renewals_read_their_secrets_in_a_few_calls() -> None:
    world = World(*members(100))
    assert world.run().to_dict()["rotated"] == 100
    assert len(world.ports.secrets.batches) < 20  # five, but for threads that come at the same moment
    assert world.ports.secrets.reads < 5


def test_a_single_renewal_reads_its_secret_alone() -> None:
    world = World(member("a"))
    world.run()
    assert (world.ports.secrets.batches, world.ports.secrets.reads) == ([], 1)


def test_a_single_renewal_reads_its_secret_after_its_claim() -> None:
    world = World(member("a"))
    reads: list[int] = []
    world.ports.parameters.before_write = lambda _name: reads.append(world.ports.secrets.reads)
    world.run()
    assert reads == [0, 1, 1]


def test_each_renewal_writes_claim_token_and_status() -> None:
    world = World(*members(30))
    world.run()
    assert len(world.writes) == 90


def test_a_broken_secret_costs_no_write() -> None:
    world = World(member("a"), member("broken", secret_id="missing"), member("c"))
    assert outcomes(world.run())["broken"] is Outcome.FAILED
    assert not any("broken" in name for name in world.writes)


def test_credentials_that_were_changed_after_they_were_read_ahead_are_read_again() -> None:
    world = World(*members(3))

    def change_secret(_name: str) -> None:
        world.ports.secrets.stage(Stage.CURRENT, "changed")
        world.ports.parameters.before_write = lambda _name: None

    world.ports.parameters.before_write = change_secret
    world.ports.token_endpoint.answers.append((401, {"error": "invalid_client"}))
    summary = world.run()
    assert (summary.failed, summary.to_dict()["rotated"]) == (False, 3)


# Order and pace.


def test_what_ends_first_is_claimed_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renewals, "AT_A_TIME", 1)  # of several under way, any may come to its claim first
    world = World(*reversed(members(12))).served(seconds_apart=60).later(20 * HOUR)
    world.run(pace=2)
    assert world.claims() == [f"r{number:03}" for number in reversed(range(12))]


def test_the_pace_is_kept_and_what_is_left_is_told_and_no_failure() -> None:
    world = World(*members(100)).served(seconds_apart=1).later(17 * HOUR)
    summary = world.run(pace=2)
    told = summary.to_dict()
    assert (told["rotated"], told["busy"], told["failed"]) == (31, 69, 0)
    assert len(world.writes) == 93
    assert {result.note for result in summary.results if result.outcome is Outcome.BUSY} == {
        "this run had no time left for it; the next one begins with what ends first"
    }
    assert told["warnings"] == [f"69 due rotations are left to the next run; if that goes on, {MORE}"]


def test_the_next_run_goes_on_where_the_last_one_stopped() -> None:
    world = World(*members(50)).served(seconds_apart=1).later(17 * HOUR)
    first = world.run(pace=2)
    rotated = {name for name, outcome in outcomes(first).items() if outcome is Outcome.ROTATED}
    world.forget()
    world.later(300)
    second = world.run(pace=2)
    assert second.to_dict()["rotated"] == 50 - len(rotated)
    assert not rotated & set(world.claims())


def test_what_is_left_although_it_is_late_is_a_failure_that_says_what_to_do() -> None:
    world = World(*members(100)).served().later(23 * HOUR)
    summary = world.run(pace=2)
    failed = [result for result in summary.results if result.outcome is Outcome.FAILED]
    assert len(failed) == 69
    assert {result.error_kind for result in failed} == {"NotReached"}
    assert all(result.late for result in failed)
    assert {result.next_try for result in failed} == {world.clock.now() + timedelta(seconds=300 - 45)}
    assert {result.seconds_remaining for result in failed} == {HOUR - 45}
    assert str(failed[0].error).endswith(MORE)


def test_a_dry_run_tells_of_all_and_neither_writes_nor_contacts_anybody() -> None:
    world = World(*members(100))
    summary = world.run(pace=2, dry_run=True)
    assert summary.to_dict()["rotated"] == 100
    assert (world.writes, world.ports.token_endpoint.contacts) == ([], [])
    assert world.ports.token_endpoint.requests == []


def test_whoever_watches_stops_nothing_by_a_defect_of_his_own() -> None:
    world = World(*members(20))

    def explode(_result: Result) -> None:
        raise BrokenPipeError

    assert world.run(on_result=explode).to_dict()["rotated"] == 20


def test_each_outcome_is_told_once_as_soon_as_it_is_known() -> None:
    world = World(*members(20), member("broken", secret_id="missing"))
    told: list[Result] = []
    summary = world.run(on_result=told.append)
    assert sorted(told, key=lambda result: result.name) == list(summary.results)


# Endpoints.


def test_an_endpoint_that_is_down_costs_one_contact_and_no_claim_for_all_its_rotations() -> None:
    world = World(*members(30, BAD, "b"), *members(10))
    world.ports.token_endpoint.down.add(BAD)
    summary = world.run()
    told = summary.to_dict()
    assert (told["rotated"], told["failed"]) == (10, 30)
    assert world.ports.token_endpoint.contacts.count(BAD) == 1
    assert not any("/b" in name for name in world.writes)
    assert all(str(DOWN) == result.error for result in summary.results if result.name.startswith("b"))


def test_given_up_rotations_tell_what_consumers_still_have() -> None:
    world = World(*members(2, BAD)).served().later(17 * HOUR)
    world.ports.token_endpoint.down.add(BAD)
    for result in world.run().results:
        assert (result.late, result.seconds_remaining) == (False, 7 * HOUR)
        assert result.next_try == world.clock.now() + timedelta(seconds=300)
        assert result.error_kind == "TokenEndpointUnavailable"


def test_the_only_rotation_of_an_endpoint_is_tried_without_a_contact() -> None:
    world = World(member("alone", BAD), member("other"))
    world.run()
    assert world.ports.token_endpoint.contacts == []


class Endpoint(fakes.FakeTokenEndpoint):
    """One whose bad address behaves as it is told to."""

    def __init__(self, clock: Clock, behave: Callable[[Callable[[], float]], None]) -> None:
        super().__init__(clock)
        self.behave = behave
        self.asked_bad = 0
        self.patience: list[float] = []

    def request(
        self, request: TokenRequest, *, time_left: Callable[[], float], patience: float = math.inf
    ) -> TokenResponse:
        if request.url == BAD:
            self.asked_bad += 1
            self.patience.append(patience)
            self.behave(time_left)
        return super().request(request, time_left=time_left, patience=patience)


def test_an_endpoint_that_goes_down_after_the_contact_is_contacted_again_and_given_up() -> None:
    world = World(*members(30, BAD, "b"))

    def fail(_time_left: object) -> None:
        endpoint.down.add(BAD)
        raise DOWN

    endpoint = Endpoint(world.clock, fail)
    world.ports.token_endpoint = endpoint
    summary = world.run()
    assert summary.to_dict()["failed"] == 30
    assert (endpoint.asked_bad, endpoint.contacts.count(BAD)) == (1, 2)
    assert world.claims() == ["b000"]


def test_clients_that_an_endpoint_never_serves_do_not_keep_the_others_from_it() -> None:
    world = World(*members(10, BAD, "b"))

    def fail_for_the_first_three(_time_left: object) -> None:
        if endpoint.asked_bad <= 3:
            raise DOWN

    endpoint = Endpoint(world.clock, fail_for_the_first_three)
    world.ports.token_endpoint = endpoint
    assert world.run().to_dict()["rotated"] == 7


def test_one_client_does_not_try_again_for_the_whole_run_while_others_wait() -> None:
    """The first answer is waited for as ever: no token that was issued is lost for want of patience."""
    world = World(*members(2, BAD, "b"))
    left: list[float] = []
    endpoint = Endpoint(world.clock, lambda time_left: left.append(time_left()))
    world.ports.token_endpoint = endpoint
    world.run()
    assert (endpoint.patience, left) == ([10, 10], [50, 50])


@pytest.mark.parametrize("count", [1, 2, 3])
def test_an_endpoint_that_answers_after_twelve_seconds_works_for_one_and_for_several(count: int) -> None:
    world = World(*members(count))
    world.ports.token_endpoint.latency = 12
    assert world.run().to_dict()["rotated"] == count


def test_a_client_that_is_alone_may_try_for_the_whole_run() -> None:
    world = World(member("alone", BAD), member("other"))
    world.ports.token_endpoint = endpoint = Endpoint(world.clock, lambda _time_left: None)
    world.run()
    assert endpoint.patience == [math.inf]


@pytest.mark.parametrize(("others", "patience"), [(AT_A_TIME - 1, math.inf), (AT_A_TIME, 10)])
def test_patience_is_short_if_there_are_more_renewals_than_threads(others: int, patience: float) -> None:
    hosts = [member(f"m{n}", f"https://host{n}.example.test/") for n in range(others)]
    world = World(member("watched", BAD), *hosts)
    world.ports.token_endpoint = endpoint = Endpoint(world.clock, lambda _time_left: None)
    world.run()
    assert endpoint.patience == [patience]


class Together(fakes.FakeTokenEndpoint):
    """Answers when so many have asked."""

    def __init__(self, clock: Clock, count: int) -> None:
        super().__init__(clock)
        self.barrier = Barrier(count, timeout=30)

    def request(
        self, request: TokenRequest, *, time_left: Callable[[], float], patience: float = math.inf
    ) -> TokenResponse:
        self.barrier.wait()
        return super().request(request, time_left=time_left, patience=patience)


@pytest.mark.parametrize("count", [2, AT_A_TIME])
def test_up_to_forty_are_under_way_at_a_time(count: int) -> None:
    """Each token request waits for one of every other rotation."""
    world = World(*(member(f"m{n}", f"https://host{n}.example.test/") for n in range(count)))
    world.ports.token_endpoint = Together(world.clock, count)
    assert world.run().to_dict()["rotated"] == count


def test_a_broken_secret_costs_no_write_where_there_are_two_either() -> None:
    world = World(member("a"), member("broken", secret_id="missing"))
    assert outcomes(world.run())["broken"] is Outcome.FAILED
    assert not any("broken" in name for name in world.writes)


def test_a_slow_endpoint_does_not_hold_up_the_others() -> None:
    """Its requests are answered only when all others have been served."""
    world = World(*members(60, BAD, "b"), *members(40))
    others_done = Event()
    told: list[Result] = []

    def assert_others_are_served() -> None:
        assert others_done.wait(30)

    def note(result: Result) -> None:
        told.append(result)
        if sum(each.name.startswith("r") for each in told) == 40:
            others_done.set()

    world.ports.token_endpoint = Endpoint(world.clock, lambda _left: assert_others_are_served())
    summary = world.run(on_result=note)
    assert summary.to_dict()["rotated"] == 100


class Defective(fakes.FakeTokenEndpoint):
    """One whose contact has a defect."""

    def contact(self, url: str, *, time_left: Callable[[], float]) -> None:
        raise ZeroDivisionError(fakes.CANARY_SECRET)


def test_a_defect_in_the_contact_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    world = World(*members(5))
    world.ports.token_endpoint = Defective(world.clock)
    assert world.run().to_dict()["rotated"] == 5
    assert "unforeseen ZeroDivisionError when a token endpoint was contacted" in caplog.messages
    assert fakes.CANARY_SECRET not in caplog.text


def test_a_defect_in_one_renewal_stops_nothing() -> None:
    world = World(*members(30))

    def explode(name: str) -> None:
        if name.startswith("/fleet/r007"):
            raise ZeroDivisionError

    world.ports.parameters.before_write = explode
    found = outcomes(world.run())
    assert [name for name, outcome in found.items() if outcome is Outcome.FAILED] == ["r007"]


def test_an_interrupted_run_begins_nothing_more() -> None:
    world = World(*(member(f"m{number:03}", f"https://host{number}.example.test/") for number in range(100)))
    begun: list[str] = []
    interrupted = KeyboardInterrupt()

    def interrupt(name: str) -> None:
        begun.append(name)
        raise interrupted

    world.ports.parameters.before_write = interrupt
    with pytest.raises(KeyboardInterrupt):
        world.run()
    assert len(begun) <= AT_A_TIME


# Time.


def test_what_could_not_be_read_in_time_is_a_failure_and_nothing_is_renewed_blindly() -> None:
    world = World(*members(7))
    run = Run(id="run", now=world.clock.now, time_left=lambda: 0.0, budget=60)
    summary = run_fleet(world.fleet, world.ports, run, CONTRACT)
    assert {result.error_kind for result in summary.results} == {"ParameterStoreError"}
    assert "before the parameters could be read" in str(summary.results[0].error)
    assert (world.ports.parameters.reads, world.writes) == (0, [])


def test_renewals_of_a_fleet_created_in_one_minute_drift_apart() -> None:
    """The jitter is stable and counts in each life, so that the third renewal is spread thrice as far."""
    world = World(*members(40)).served(seconds_apart=1)
    spread = []
    for _ in range(3):
        times = [
            world.ports.parameters.status(each.status_name)["renew_at"] for each in world.fleet.rotations
        ]
        spread.append((fakes.time(max(times)) - fakes.time(min(times))).total_seconds())
        for _ in range(DAY // 300):
            world.later(300).run()
            now = [world.ports.parameters.status(r.status_name)["renew_at"] for r in world.fleet.rotations]
            if all(new != old for new, old in zip(now, times, strict=True)):
                break
    assert spread[0] > 1000
    assert spread[2] > 2 * spread[0]

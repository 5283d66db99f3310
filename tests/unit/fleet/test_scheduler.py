"""Multiple renewals in one run: their order, limits and retries, and the results of those not begun."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from threading import Barrier, Event, Thread, current_thread
from typing import Any

import pytest

import fake_ports
from fake_ports import DAY, Clock, FakePorts, rotation
from rotator.config.registry import Fleet
from rotator.errors import TokenEndpointUnavailable
from rotator.fleet.circuit_breaker import FAILURES_TO_OPEN
from rotator.fleet.executor import InlineExecutor, executor_for
from rotator.fleet.run import run_fleet
from rotator.fleet.scheduler import MAX_RENEWALS, MAX_RENEWALS_PER_HOST, RETRY_BUDGET_SECONDS
from rotator.fleet.write_rate import WriteRate
from rotator.oauth.client_credentials import TokenRequest, TokenResponse
from rotator.renewal.deadline import Deadline
from rotator.renewal.guarantee import Guarantee
from rotator.renewal.models import Outcome, Parameter, Result, Rotation, Summary
from rotator.renewal.ports import Run

CONTRACT = Guarantee(schedule_interval=300, consumer_cache=300)
HOUR = 3600
GOOD, BAD = "https://good.example.test/token", "https://bad.example.test/token"
DOWN = TokenEndpointUnavailable("the endpoint could not be reached", advice="check the path")

MORE = (
    "raise WritesPerSecond of the stack (ROTATOR_WRITES_PER_SECOND) if the account's quota allows it, or "
    "raise TimeoutSeconds of the stack"
)


NO_REQUEST = "no request was sent, because requests of other rotations to this endpoint failed: "


def member(name: str, endpoint: str = GOOD, **settings: Any) -> Rotation:
    return rotation(name=name, parameter_name=f"/fleet/{name}", token_endpoint=endpoint, **settings)


def members(count: int, endpoint: str = GOOD, prefix: str = "r") -> list[Rotation]:
    return [member(f"{prefix}{number:03}", endpoint) for number in range(count)]


def hosts(count: int) -> list[Rotation]:
    return [member(f"m{number:03}", f"https://host{number}.example.test/") for number in range(count)]


class FleetRun:
    """A fleet, its ports and its runs, which renew one rotation at a time unless they use threads."""

    def __init__(self, *rotations: Rotation) -> None:
        self.clock = Clock()
        self.ports: FakePorts = fake_ports.ports(self.clock)
        self.fleet = Fleet(rotations=rotations)
        self.runs = 0

    def run(
        self, *, budget: float = 60, rate: float | None = None, threads: bool = False, **options: Any
    ) -> Summary:
        self.runs += 1
        return run_fleet(
            self.fleet,
            self.ports,
            fake_ports.run(self.clock, name=f"run-{self.runs}", budget=budget),
            CONTRACT,
            write_rate=None if rate is None else WriteRate(rate, clock=lambda: self.clock.now().timestamp()),
            executor_for=executor_for if threads else lambda *_: InlineExecutor(self.clock.sleep),
            **options,
        )

    def served(self, seconds_apart: float = 0) -> FleetRun:
        """Store a token for every rotation, each issued a little later than the one before."""
        for each in self.fleet.rotations:
            run_fleet(Fleet(rotations=(each,)), self.ports, fake_ports.run(self.clock), CONTRACT)
            self.clock.sleep(seconds_apart)
        self.forget()
        return self

    def later(self, seconds: float) -> FleetRun:
        self.clock.sleep(seconds)
        return self

    def forget(self) -> None:
        self.ports.parameters.writes.clear()
        self.ports.token_endpoint.requests.clear()

    @property
    def writes(self) -> list[str]:
        return self.ports.parameters.writes

    def begun(self) -> list[str]:
        """Return the rotations in the order in which their leases were acquired."""
        return list(dict.fromkeys(name.split("/")[2] for name in self.writes))


def outcomes(summary: Summary) -> dict[str, Outcome]:
    return {result.name: result.outcome for result in summary.results}


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


# Endpoints.


REQUEST_SECONDS = 50.0
"""The time for requests in a run of 60 s."""


class Endpoint(fake_ports.FakeTokenEndpoint):
    """A token endpoint that calls a function for each request to its bad address."""

    def __init__(self, clock: Clock, behave: Callable[[Deadline], None]) -> None:
        super().__init__(clock)
        self.behave = behave
        self.asked_bad = 0
        self.retry_seconds: list[float] = []

    def request(
        self, request: TokenRequest, *, deadline: Deadline, retry_until: Deadline | None = None
    ) -> TokenResponse:
        if request.client.token_endpoint == BAD:
            self.asked_bad += 1
            self.retry_seconds.append((retry_until or deadline).remaining())
            self.behave(deadline)
        return super().request(request, deadline=deadline, retry_until=retry_until)


@pytest.mark.parametrize("threads", [False, True])
def test_unavailable_endpoint_gets_few_requests(threads: bool) -> None:
    world = FleetRun(*members(30, BAD, "b"), *members(10))
    world.ports.token_endpoint.down.add(BAD)
    summary = world.run(threads=threads)
    counts = summary.to_dict()
    assert (counts["rotated"], counts["failed"]) == (10, 30)
    asked = [request.client.token_endpoint for request in world.ports.token_endpoint.requests]
    assert asked.count(BAD) == FAILURES_TO_OPEN
    errors = [result.error for result in summary.results if result.error]
    assert errors.count(str(DOWN)) == FAILURES_TO_OPEN
    assert errors.count(f"{NO_REQUEST}{DOWN}") == 30 - FAILURES_TO_OPEN
    assert summary.warnings == (), "no renewal was postponed"
    assert sum(name.startswith("/fleet/b") for name in world.writes) == 2 * FAILURES_TO_OPEN


def test_unrequested_rotation_reports_remaining_lifetime() -> None:
    world = FleetRun(*members(5, BAD)).served().later(17 * HOUR)
    world.ports.token_endpoint.down.add(BAD)
    for result in world.run().results:
        assert (result.late, result.seconds_remaining) == (False, 7 * HOUR)
        assert result.next_try == world.clock.now() + timedelta(seconds=300)
        assert result.error_kind == "TokenEndpointUnavailable"


def test_unrequested_rotation_is_not_late_when_others_are() -> None:
    """The endpoint may have issued tokens to the rotations that requested one, but not to the others."""
    world = FleetRun(*members(5, BAD)).served().later(17 * HOUR)

    def break_off(_deadline: object) -> None:
        raise TokenEndpointUnavailable("the answer broke off", advice="try again", may_have_issued=True)

    world.ports.token_endpoint = Endpoint(world.clock, break_off)
    results = world.run().results
    assert [result.late for result in results] == [True] * FAILURES_TO_OPEN + [False] * 2


def test_unrequested_forced_rotation_has_no_next_try() -> None:
    world = FleetRun(*members(5, BAD)).served()
    world.ports.token_endpoint.down.add(BAD)
    results = world.run(force=True).results
    unrequested = [each for each in results if (each.error or "").startswith(NO_REQUEST)]
    assert [each.next_try for each in unrequested] == [None] * 2


def test_endpoint_recovering_after_cool_down_serves_the_rest() -> None:
    world = FleetRun(*members(10, BAD, "b"), *members(20))
    began = world.clock.now()

    def fail_for_ten_seconds(_deadline: object) -> None:
        if world.clock.now() - began < timedelta(seconds=10):
            raise DOWN

    world.ports.token_endpoint = Endpoint(world.clock, fail_for_ten_seconds)
    assert world.run(rate=2).to_dict()["rotated"] == 30 - FAILURES_TO_OPEN


def test_two_failed_requests_do_not_block_other_rotations() -> None:
    world = FleetRun(*members(10, BAD, "b"))

    def fail_for_the_first_two(_deadline: object) -> None:
        if endpoint.asked_bad <= 2:
            raise DOWN

    world.ports.token_endpoint = endpoint = Endpoint(world.clock, fail_for_the_first_two)
    assert world.run().to_dict()["rotated"] == 8


def test_refusals_do_not_make_the_endpoint_unavailable() -> None:
    world = FleetRun(*members(10))
    world.ports.token_endpoint.answers.extend([(401, {"error": "invalid_client"})] * 9)
    summary = world.run()
    assert (summary.to_dict()["failed"], summary.to_dict()["rotated"]) == (9, 1)


def test_shared_endpoint_gets_one_request_until_it_answers() -> None:
    world = FleetRun(*members(10, BAD, "b"))
    asked: list[int] = []
    release = Event()

    def wait(_deadline: object) -> None:
        asked.append(endpoint.asked_bad)
        if len(asked) == 1:
            release.wait(0.2)
            assert len(asked) == 1, "another began before the first was answered"

    world.ports.token_endpoint = endpoint = Endpoint(world.clock, wait)
    assert world.run(threads=True).to_dict()["rotated"] == 10


def test_retry_budget_is_short_while_other_rotations_wait() -> None:
    """The budget does not shorten the wait for the first answer, which may contain an issued token."""
    world = FleetRun(*members(2, BAD, "b"))
    left: list[float] = []
    world.ports.token_endpoint = endpoint = Endpoint(
        world.clock, lambda deadline: left.append(deadline.remaining())
    )
    world.run()
    assert (endpoint.retry_seconds, left) == ([RETRY_BUDGET_SECONDS] * 2, [50, 50])


@pytest.mark.parametrize("count", [1, 2, 3])
def test_answer_after_twelve_seconds_renews_every_rotation(count: int) -> None:
    world = FleetRun(*members(count))
    world.ports.token_endpoint.latency = 12
    assert world.run().to_dict()["rotated"] == count


@pytest.mark.parametrize(
    ("others", "budget"),
    [(1, REQUEST_SECONDS), (MAX_RENEWALS - 1, REQUEST_SECONDS), (MAX_RENEWALS, RETRY_BUDGET_SECONDS)],
)
def test_retry_budget_is_short_if_renewals_wait_for_a_thread(others: int, budget: float) -> None:
    world = FleetRun(member("watched", BAD), *hosts(others))
    world.ports.token_endpoint = endpoint = Endpoint(world.clock, lambda _deadline: None)
    world.run()
    assert endpoint.retry_seconds == [budget]


def test_retry_budget_is_short_in_a_shared_run() -> None:
    world = FleetRun(member("watched", BAD))
    world.ports.token_endpoint = endpoint = Endpoint(world.clock, lambda _deadline: None)
    world.run(shared=True)
    assert endpoint.retry_seconds == [RETRY_BUDGET_SECONDS]


@pytest.mark.parametrize(
    ("port", "budget"),
    [("", RETRY_BUDGET_SECONDS), (":443", RETRY_BUDGET_SECONDS), (":8443", REQUEST_SECONDS)],
)
def test_endpoints_share_a_host_only_with_the_same_port(port: str, budget: float) -> None:
    other = f"https://bad.example.test{port}/other"
    world = FleetRun(member("watched", BAD), member("other", other))
    world.ports.token_endpoint = endpoint = Endpoint(world.clock, lambda _deadline: None)
    world.run()
    assert endpoint.retry_seconds == [budget]


def test_issued_token_is_probed_without_a_retry_budget() -> None:
    world = FleetRun(*members(2), member("r", verify_url="https://api.example.test/me"))
    assert world.run().to_dict()["rotated"] == 3
    assert world.ports.token_endpoint.probes == [
        ("https://api.example.test/me", world.ports.parameters.parameters["/fleet/r"].value)
    ]


class Together(fake_ports.FakeTokenEndpoint):
    """Answers only once n requests wait for an answer."""

    def __init__(self, clock: Clock, count: int) -> None:
        super().__init__(clock)
        self.barrier = Barrier(count, timeout=30)

    def request(
        self, request: TokenRequest, *, deadline: Deadline, retry_until: Deadline | None = None
    ) -> TokenResponse:
        self.barrier.wait()
        return super().request(request, deadline=deadline, retry_until=retry_until)


@pytest.mark.parametrize("count", [2, MAX_RENEWALS])
def test_up_to_forty_renewals_run_concurrently(count: int) -> None:
    """Each token request waits until every other rotation has sent one."""
    world = FleetRun(*hosts(count))
    world.ports.token_endpoint = Together(world.clock, count)
    assert world.run(threads=True).to_dict()["rotated"] == count


@pytest.mark.parametrize("status", [200, 401])
def test_endpoint_that_has_answered_gets_concurrent_requests(status: int) -> None:
    """A refusal counts as an answer."""

    class Shared(fake_ports.FakeTokenEndpoint):
        def request(self, request: TokenRequest, **options: Any) -> TokenResponse:
            if self.requests:
                barrier.wait()
            return super().request(request, **options)

    barrier = Barrier(3, timeout=30)
    world = FleetRun(*members(4))
    world.ports.token_endpoint = endpoint = Shared(world.clock)
    if status != 200:
        endpoint.answers.append((status, {"error": "invalid_client"}))
    assert world.run(threads=True).to_dict()["rotated"] == 4 - (status != 200)


class Deferred(InlineExecutor):
    """Runs a task when ``wait`` is called, and counts the tasks that were started."""

    def __init__(self) -> None:
        super().__init__()
        self.tasks: list[Callable[[], None]] = []
        self.most = 0

    def start(self, task: Callable[[], None]) -> None:
        self.tasks.append(task)
        self.most = max(self.most, len(self.tasks))

    def wait(self, seconds: float | None = None) -> None:
        if self.tasks and seconds is None:
            self.tasks.pop(0)()


@pytest.mark.parametrize(
    ("rotations", "most"),
    [(hosts(MAX_RENEWALS + 20), MAX_RENEWALS), (hosts(MAX_RENEWALS), MAX_RENEWALS)],
)
def test_run_limits_concurrent_renewals_to_forty(rotations: list[Rotation], most: int) -> None:
    world = FleetRun(*rotations)
    executor = Deferred()
    summary = run_fleet(
        world.fleet, world.ports, fake_ports.run(world.clock), CONTRACT, executor_for=lambda *_: executor
    )
    assert summary.to_dict()["rotated"] == len(rotations)
    assert executor.most == most


def test_slow_host_does_not_delay_other_hosts() -> None:
    """The slow host answers only after the rotations of all other hosts were renewed."""
    slow = [member(f"b{number:03}", f"{BAD}/{number}") for number in range(60)]
    world = FleetRun(*slow, *members(40))
    others_done = Event()
    reported: list[Result] = []
    under_way, most = 0, 0

    class Slow(fake_ports.FakeTokenEndpoint):
        def request(self, request: TokenRequest, **options: Any) -> TokenResponse:
            nonlocal under_way, most
            if request.client.token_endpoint.startswith(BAD):
                under_way += 1
                most = max(most, under_way)
                assert others_done.wait(30)
                under_way -= 1
            return super().request(request, **options)

    def reason(result: Result) -> None:
        reported.append(result)
        if sum(each.name.startswith("r") for each in reported) == 40:
            others_done.set()

    world.ports.token_endpoint = Slow(world.clock)
    assert world.run(on_result=reason, threads=True).to_dict()["rotated"] == 100
    assert most <= MAX_RENEWALS_PER_HOST


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

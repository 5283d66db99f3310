"""The renewals of a run by endpoint: an unavailable one, its retries, and the limits of concurrency."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from threading import Barrier, Event
from typing import Any

import pytest

import fake_ports
from fake_ports import Clock
from fleet_in_memory import (
    CONTRACT,
    HOUR,
    FleetRun,
    hosts,
    member,
    members,
)
from rotator.errors import TokenEndpointUnavailable
from rotator.fleet.circuit_breaker import FAILURES_TO_OPEN
from rotator.fleet.executor import InlineExecutor
from rotator.fleet.run import run_fleet
from rotator.fleet.scheduler import MAX_RENEWALS, MAX_RENEWALS_PER_HOST, RETRY_BUDGET_SECONDS
from rotator.oauth.client_credentials import TokenRequest, TokenResponse
from rotator.renewal.deadline import Deadline
from rotator.renewal.models import Result, Rotation

BAD = "https://bad.example.test/token"
DOWN = TokenEndpointUnavailable("the endpoint could not be reached", advice="check the path")
NO_REQUEST = "no request was sent, because requests of other rotations to this endpoint failed: "

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


# Concurrent renewals.


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

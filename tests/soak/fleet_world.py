"""A simulated fleet: rotations on a few hosts, one account's write quota, and workers if there are any."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from rotator.config.registry import Fleet
from rotator.errors import RotatorError, SettingsError
from rotator.fleet.circuit_breaker import COOL_DOWN_SECONDS, FAILURES_TO_OPEN
from rotator.fleet.run import run_fleet
from rotator.fleet.write_rate import WRITES_PER_RENEWAL, WriteRate
from rotator.renewal.models import Outcome, Summary
from rotator.renewal.policy import RUN_BUDGET_SECONDS
from rotator.simulation.calls import Call, Killed, failure
from rotator.simulation.environment import Tenant
from rotator.simulation.scenario import NO_FAULTS, Rates, RatesAt, Scenario
from rotator.simulation.simulated_run import SimulatedRun
from rotator.simulation.world import World
from rotator.workers import dispatch
from soak.explored_run import WRITES
from soak.simulated_processes import Greenlets

T = TypeVar("T")

SLOW_LATENCY_SECONDS = (4.0, 9.0)
"""How long a request, and again its response, is in transit to a slow host: from, to."""

SDK_WAITS_SECONDS = (0.5, 1.0, 0.0)
"""How long the SDK waits after each attempt of a throttled call."""

BURST_WRITES = 3.0
"""Writes that an account lets pass at once after a pause, if its quota is lower."""

RENEWALS_WHILE_DOWN = FAILURES_TO_OPEN + math.ceil(RUN_BUDGET_SECONDS / COOL_DOWN_SECONDS)
"""The renewals in a run that may ask an endpoint which is down and which several rotations share."""

SETTLING_SECONDS = 15
"""The part of a run in which it begins no renewal, in the estimate of how many it begins."""

ENDPOINT_DOWN: RatesAt = lambda _now: Rates(endpoint=1)  # noqa: E731


@dataclass(frozen=True, kw_only=True)
class FleetScenario:
    """A fleet under trial.

    Args:
        scenarios: Each rotation with the lifetime of its tokens and the kind of its provider.
        hosts: The number of each rotation's host.
        slow_hosts: The hosts that take SLOW_LATENCY_SECONDS for a response.
        down_hosts: The hosts that never respond.
        quota: The account's writes a second; those above it are throttled.
        write_rate: The writes a second that the rotator allows itself.
        workers: How many runs take queued rotations; 0 if the scheduled run renews by itself.
        broken: Names of rotations whose documents cannot be read.
        rejected: Names of rotations whose secret is wrong.
    """

    scenarios: tuple[Scenario, ...]
    hosts: tuple[int, ...]
    slow_hosts: frozenset[int] = frozenset()
    down_hosts: frozenset[int] = frozenset()
    quota: float = 10
    write_rate: float = 2
    workers: int = 0
    broken: tuple[str, ...] = ()
    rejected: frozenset[str] = frozenset()

    @property
    def common(self) -> Scenario:
        """The first scenario; all have the same schedule, seed and days."""
        return self.scenarios[0]

    @property
    def runs_to_serve_all(self) -> int:
        """How many runs renew every rotation once, at a quarter of the write rate: writes are throttled."""
        writes = min(self.quota, self.write_rate) * (RUN_BUDGET_SECONDS - SETTLING_SECONDS)
        return math.ceil(4 * len(self.scenarios) / (writes / WRITES_PER_RENEWAL))


class FleetRun(SimulatedRun):
    """A run whose writes the account may throttle, and whose renewals may ask an endpoint that is down.

    ``on_throttled`` is called after each throttled write. Once a renewal is killed, the others
    stop as soon as they continue.
    """

    def __init__(self, world: FleetWorld, *args: Any, **options: Any) -> None:
        super().__init__(world, *args, **options)
        self.on_throttled: Callable[[], None] = lambda: None
        self._fleet_world = world
        self._is_killed = False
        self._found_up: set[str] = set()
        self._asked: dict[str, set[str]] = defaultdict(set)

    def carry_out(self, call: Call, effect: Callable[[], T]) -> T:
        """Make a call, after repeating a throttled write like the SDK."""
        if call in WRITES:
            self._wait_for_quota()
        try:
            return super().carry_out(call, effect)
        except Killed:
            self._is_killed = True
            raise

    def sleep(self, seconds: float) -> None:
        """Let time pass, until this run's deadline or the kill of another renewal."""
        try:
            super().sleep(seconds)
        except Killed:
            self._is_killed = True
        if self._is_killed:
            raise Killed

    def _wait_for_quota(self) -> None:
        """Wait for a write to pass; raise ParameterStoreError after the last attempt."""
        for seconds in SDK_WAITS_SECONDS:
            if self._fleet_world.takes_write():
                return
            self.on_throttled()
            self.sleep(seconds)
        raise failure(Call.WRITE_TOKEN)

    def tenant_of(self, headers: Mapping[str, str]) -> Tenant:
        """Return the rotation of a request; limit those that ask an endpoint that is down."""
        tenant = super().tenant_of(headers)
        endpoint = tenant.rotation.token_endpoint
        if not tenant.provider.is_down():
            self._found_up.add(endpoint)
        elif endpoint not in self._found_up:
            self._asked[endpoint].add(tenant.rotation.name)
            if len(self._asked[endpoint]) > RENEWALS_WHILE_DOWN:
                self.world.violate(f"{len(self._asked[endpoint])} renewals asked an endpoint that is down")
        return tenant


class FleetWorld(World):
    """A fleet that goes on as time does.

    Args:
        fleet: The rotations and their hosts.
        rates_of: The rates of each host, by its number.
    """

    make_run = FleetRun

    def __init__(self, fleet: FleetScenario, *, rates_of: Callable[[int], RatesAt] | None = None) -> None:
        self.fleet = fleet
        rates_of = rates_of or (
            lambda host: ENDPOINT_DOWN if host in fleet.down_hosts else lambda _now: NO_FAULTS
        )
        self._queue: list[str] = []
        self._busy_workers = 0
        self._quota_left = BURST_WRITES
        self._written_at = 0.0
        self._rotations = Fleet(
            rotations=tuple(scenario.rotation for scenario in fleet.scenarios),
            broken=tuple((name, SettingsError("it is broken", advice="fix it")) for name in fleet.broken),
        )
        super().__init__(fleet.common, rates_at=rates_of(0))
        # The tenants replace the one that World made for ``common``.
        for scenario, host in zip(fleet.scenarios, fleet.hosts, strict=True):
            tenant = Tenant(self, scenario, rates_of(host))
            if host in fleet.slow_hosts:
                tenant.provider.latency = SLOW_LATENCY_SECONDS
            tenant.provider.rejects_client = scenario.rotation.name in fleet.rejected
        self.tenant = self.tenants[fleet.common.rotation.name]
        self.provider, self.consumers = self.tenant.provider, self.tenant.consumers

    @property
    def healthy(self) -> list[Tenant]:
        """The rotations that have no faults but their hosts' at times."""
        return [
            self.tenants[scenario.rotation.name]
            for scenario, host in zip(self.fleet.scenarios, self.fleet.hosts, strict=True)
            if scenario.rotation.name not in self.fleet.rejected and host not in self.fleet.down_hosts
        ]

    @property
    def expired_seconds(self) -> float:
        """The seconds in which consumers of healthy rotations presented an expired token."""
        return sum(tenant.consumers.expired_seconds for tenant in self.healthy)

    @property
    def bad_tokens(self) -> int:
        """The number of tokens that were published and must not have been."""
        return sum(tenant.bad_tokens for tenant in self.tenants.values())

    # Runs.

    def serve(self, run: SimulatedRun) -> Summary:
        """Renew the due rotations, or enqueue them for the workers; a forced run renews them itself."""
        enqueue = (
            partial(dispatch.enqueue, lambda: self) if self.fleet.workers and not run.run.force else None
        )
        return self._run_fleet(self._rotations, run, enqueue=enqueue)

    def _run_fleet(self, rotations: Fleet, run: SimulatedRun, **options: Any) -> Summary:
        """Run the production code in a process of its own, with its share of the write rate."""
        rate = WriteRate(
            self.fleet.write_rate / max(1, self.fleet.workers), clock=lambda: self.timeline.seconds
        )
        assert isinstance(run, FleetRun)
        run.on_throttled = rate.slow_down
        return run_fleet(
            rotations,
            run,
            run.run,
            self.scenario.guarantee,
            write_rate=rate,
            executor_for=lambda *_: Greenlets(self.timeline),
            readers=0,
            **options,
        )

    def _run_on_schedule(self) -> None:
        self._queue.clear()  # workers drop messages that are older than a scheduled run
        super()._run_on_schedule()

    # The port WorkQueue, and the workers that take from it.

    def send(self, messages: Sequence[str]) -> Mapping[int, RotatorError]:
        """Take messages; the queue delivers some of them twice, as SQS may."""
        names = [name for message in messages for name in json.loads(message)["rotations"]]
        twice = self.rates_at(self.timeline.seconds).duplicated
        self._queue += names + [name for name in names if self.random.random() < twice]
        self.timeline.at(self.timeline.seconds + self.random.uniform(0, 2), self._deliver)
        return {}

    def _deliver(self) -> None:
        while self._queue and self._busy_workers < self.fleet.workers:
            names, self._queue = self._queue[: dispatch.BATCH_SIZE], self._queue[dispatch.BATCH_SIZE :]
            self._busy_workers += 1
            self.timeline.start_at(self.timeline.seconds, partial(self._work, names))

    def _work(self, names: Sequence[str]) -> None:
        rotations = self._rotations.for_worker(names)
        self.run_once(lambda run: self._run_fleet(rotations, run, shared=True))
        self._busy_workers -= 1
        self.timeline.at(self.timeline.seconds, self._deliver)

    # The effects of the runs, and their counts.

    def takes_write(self) -> bool:
        """Return whether the account's write quota lets another write pass now."""
        now = self.timeline.seconds
        gained = (now - self._written_at) * self.fleet.quota
        self._quota_left = min(max(BURST_WRITES, self.fleet.quota), self._quota_left + gained)
        self._written_at = now
        if self._quota_left < 1:
            return False
        self._quota_left -= 1
        return True

    def _count(self, summary: Summary) -> None:
        super()._count(summary)
        served = {result.name for result in summary.results if result.outcome is not Outcome.FAILED}
        if served & {*self.fleet.broken}:
            self.violate("a broken rotation document was served")

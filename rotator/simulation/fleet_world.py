"""A simulated fleet: rotations on a few hosts, one account's rate of writes, and workers if there are any."""

from __future__ import annotations

import base64
import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from rotator.config.registry import Fleet
from rotator.errors import RotatorError, SettingsError
from rotator.fleet.circuit_breaker import COOL_DOWN_SECONDS, FAILURES_TO_OPEN
from rotator.fleet.run import run_fleet
from rotator.fleet.write_rate import WriteRate
from rotator.renewal.models import Outcome, Summary
from rotator.renewal.policy import RUN_BUDGET_SECONDS
from rotator.simulation.processes import Greenlets
from rotator.simulation.provider import SLOW
from rotator.simulation.run import Killed, SimulatedRun
from rotator.simulation.scenario import Rates, Scenario, Weather
from rotator.simulation.world import Faults, Tenant, World
from rotator.workers import dispatch

BATCH = 10
"""Messages that a worker is given at a time."""

BURST = 3.0
"""Writes that an account lets pass at once after a pause, if its quota is lower."""

RENEWALS_WHILE_DOWN = FAILURES_TO_OPEN + math.ceil(RUN_BUDGET_SECONDS / COOL_DOWN_SECONDS)
"""Renewals of an endpoint that is down and that several rotations share, in a run."""


CALM_WEATHER: Weather = lambda _now: Rates()  # noqa: E731
DOWN: Weather = lambda _now: Rates(endpoint=1)  # noqa: E731


@dataclass(frozen=True, kw_only=True)
class FleetScenario:
    """A fleet under trial.

    Args:
        tenants: Each rotation with the life of its tokens and the kind of its provider.
        hosts: The host of each of them, by its number.
        slow: The hosts that need SLOW seconds for an answer.
        dead: The hosts that never answer.
        quota: The account's writes a second; what is more is throttled.
        write_rate: The writes a second that the rotator allows itself.
        workers: How many runs take enqueued rotations; 0 if the scheduled run renews by itself.
        broken: Names of rotations whose documents cannot be read.
        refused: Names of rotations whose secret is wrong.
    """

    tenants: tuple[Scenario, ...]
    hosts: tuple[int, ...]
    slow: frozenset[int] = frozenset()
    dead: frozenset[int] = frozenset()
    quota: float = 10
    write_rate: float = 2
    workers: int = 0
    broken: tuple[str, ...] = ()
    refused: frozenset[str] = frozenset()

    @property
    def common(self) -> Scenario:
        """What all rotations have in common: the schedule, the seed and the days."""
        return self.tenants[0]

    @property
    def runs_to_serve_all(self) -> int:
        """How many runs renew every rotation once, at the rate of writes, with writes that are throttled."""
        per_run = min(self.quota, self.write_rate) * (RUN_BUDGET_SECONDS - 15) / 3
        return math.ceil(4 * len(self.tenants) / per_run)


class FleetWorld(World):
    """A fleet that goes on as time does. ``weather`` gives the weather of each host, by its number."""

    def __init__(
        self,
        fleet: FleetScenario,
        *,
        weather: Callable[[int], Weather] | None = None,
        faults: Faults | None = None,
    ) -> None:
        self.fleet = fleet
        self._weather_of = weather or (lambda host: DOWN if host in fleet.dead else CALM_WEATHER)
        self._queue: list[str] = []
        self._busy_workers = 0
        self._writes_left = BURST
        self._written_at = 0.0
        self._asked: dict[tuple[str, str], set[str]] = defaultdict(set)
        self._rotations = Fleet(
            rotations=tuple(tenant.rotation for tenant in fleet.tenants),
            broken=tuple((name, SettingsError("it is broken", advice="fix it")) for name in fleet.broken),
        )
        super().__init__(fleet.common, weather=self._weather_of(0), faults=faults)

    def _make_tenants(self) -> dict[str, Tenant]:
        made = {}
        for scenario, host in zip(self.fleet.tenants, self.fleet.hosts, strict=True):
            tenant = Tenant(self, scenario, self._weather_of(host))
            if host in self.fleet.slow:
                tenant.provider.latency = SLOW
            tenant.provider.refuses_client = scenario.rotation.name in self.fleet.refused
            made[scenario.rotation.name] = tenant
        return made

    @property
    def healthy(self) -> list[Tenant]:
        """The rotations with which nothing is wrong but their hosts' weather."""
        return [
            self.tenants[scenario.rotation.name]
            for scenario, host in zip(self.fleet.tenants, self.fleet.hosts, strict=True)
            if scenario.rotation.name not in self.fleet.refused and host not in self.fleet.dead
        ]

    # Runs.

    def serve(self, run: SimulatedRun) -> Summary:
        """Do what a scheduled run does: renew what is due, or enqueue it for the workers."""
        enqueue = partial(dispatch.enqueue, lambda: self) if self.fleet.workers and not run.forced else None
        return self._run(self._rotations, run, force=run.forced, enqueue=enqueue)

    def _run(self, rotations: Fleet, run: SimulatedRun, **options: object) -> Summary:
        """Run the production code in a process of its own, with its share of the rate of writes."""
        rate = WriteRate(
            self.fleet.write_rate / max(1, self.fleet.workers), clock=lambda: self.timeline.seconds
        )
        run.on_throttled = rate.slow_down
        return run_fleet(
            rotations,
            run,
            run.run,
            self.scenario.guarantee,
            write_rate=rate,
            executor_for=lambda *_: Greenlets(self.timeline),
            readers=0,
            **options,  # type: ignore[arg-type]
        )

    # The port WorkQueue, and the workers that take from it.

    def send(self, messages: Sequence[str]) -> Mapping[int, RotatorError]:
        """Take messages; the queue delivers some of them twice, as SQS may."""
        names = [message.split('"')[3] for message in messages]
        twice = self.weather(self.timeline.seconds).duplicated
        self._queue += names + [name for name in names if self.random.random() < twice]
        self.timeline.at(self.timeline.seconds + self.random.uniform(0, 2), self._deliver)
        return {}

    def _deliver(self) -> None:
        while self._queue and self._busy_workers < self.fleet.workers:
            names, self._queue = self._queue[:BATCH], self._queue[BATCH:]
            self._busy_workers += 1
            self.timeline.start_at(self.timeline.seconds, lambda names=names: self._work(names))  # type: ignore[misc]

    def _work(self, names: Sequence[str]) -> None:
        run = self.begin_run()
        try:
            self._count(self._run(self._rotations.for_worker(names), run, shared=True))
        except Killed:
            self.outcomes["killed"] += 1
        finally:
            for tenant in self.tenants.values():
                tenant.note_end(run)
            self._busy_workers -= 1
            self.timeline.at(self.timeline.seconds, self._deliver)

    def _tick(self, when: float) -> None:
        self._queue.clear()  # of messages that are older than a scheduled run, workers do nothing
        super()._tick(when)

    # What is counted.

    def tenant_of(self, headers: Mapping[str, str]) -> Tenant:
        """Return the rotation whose client sends a token request; a probe names the token."""
        kind, _, value = headers["Authorization"].partition(" ")
        if kind == "Basic":
            return self.tenants[base64.b64decode(value).decode().partition(":")[0]]
        return next(each for each in self.tenants.values() if value in each.provider.issued)

    def note_request(self, run: SimulatedRun, tenant: Tenant) -> None:
        """Count renewals that ask an endpoint which is down in a run."""
        place = run.run.id, tenant.rotation.token_endpoint
        if not tenant.provider.is_down():
            self._asked[place] = {"it was up"}
        elif "it was up" not in self._asked[place]:
            self._asked[place].add(tenant.rotation.name)
            if len(self._asked[place]) > RENEWALS_WHILE_DOWN:
                self.break_promise(f"{len(self._asked[place])} renewals asked an endpoint that is down")

    def takes_write(self) -> bool:
        """Whether the account's quota lets another write pass now."""
        now = self.timeline.seconds
        gained = (now - self._written_at) * self.fleet.quota
        self._writes_left = min(max(BURST, self.fleet.quota), self._writes_left + gained)
        self._written_at = now
        if self._writes_left < 1:
            return False
        self._writes_left -= 1
        return True

    @property
    def expired_seconds(self) -> float:
        """Seconds for which consumers of healthy rotations presented an expired token."""
        return sum(tenant.consumers.expired_seconds for tenant in self.healthy)

    @property
    def token_requests(self) -> int:
        """Of all rotations."""
        return sum(tenant.provider.requests for tenant in self.tenants.values())

    def _count(self, summary: Summary) -> None:
        super()._count(summary)
        served = {result.name for result in summary.results if result.outcome is not Outcome.FAILED}
        if served & {*self.fleet.broken}:
            self.break_promise("a broken document was served")

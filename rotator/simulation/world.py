"""The simulated world: its rotations, its scheduled runs, and the counts of events."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rotator.config.registry import Fleet
from rotator.errors import RotatorError
from rotator.fleet.run import run_fleet
from rotator.renewal.models import Summary
from rotator.renewal.policy import RUN_BUDGET_SECONDS
from rotator.simulation.calls import Killed
from rotator.simulation.environment import Environment, Tenant
from rotator.simulation.scenario import RatesAt, Scenario
from rotator.simulation.simulated_run import SimulatedRun


@contextmanager
def quiet_logs() -> Iterator[None]:
    """Suppress the logs of simulated runs, whose many failures are counted instead."""
    logger = logging.getLogger("rotator")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


class World(Environment):
    """A scenario as time passes; ``rates_at`` replaces the rates of its faults."""

    make_run: Callable[..., SimulatedRun] = SimulatedRun

    def __init__(self, scenario: Scenario, *, rates_at: RatesAt | None = None) -> None:
        super().__init__(scenario, rates_at)
        self.runs = 0
        self.failed_runs = 0
        self.outcomes: Counter[str] = Counter()
        self.tenant = Tenant(self, scenario, self.rates_at)
        self.provider, self.consumers = self.tenant.provider, self.tenant.consumers

    def start_schedule(self) -> None:
        """Begin the schedule, whose runs are delayed, duplicated or missed at the rates of their time."""
        self.timeline.at(self.timeline.seconds, self._run_on_schedule)

    def _run_on_schedule(self) -> None:
        now = self.timeline.seconds
        self.timeline.at(now + self.scenario.guarantee.schedule_interval, self._run_on_schedule)
        rates = self.rates_at(now)
        if rates.missed and self.random.random() < rates.missed:
            return
        begin = now + (self.random.uniform(0, rates.delay) if rates.delay else 0.0)
        self.start_run(begin)
        if rates.duplicated and self.random.random() < rates.duplicated:
            self.start_run(begin + self.random.uniform(0, RUN_BUDGET_SECONDS))

    def start_run(self, when: float, *, force: bool = False) -> None:
        """Start a run at a time."""
        self.timeline.start_at(when, lambda: self.run_once(self.serve, forced=force))

    def run_once(self, serve: Callable[[SimulatedRun], Summary], *, forced: bool = False) -> None:
        """Call ``serve`` with a new run, and count its results."""
        self.runs += 1
        run = self.make_run(self, f"run-{self.runs}", forced=forced)
        try:
            self._count(serve(run))
        except Killed:
            self.outcomes["killed"] += 1
            self.failed_runs += 1
        finally:
            for tenant in self.tenants.values():
                tenant.end_renewal(run.run.id)

    def serve(self, run: SimulatedRun) -> Summary:
        """Serve the rotations as a scheduled or forced run does; raises Killed if the process is killed."""
        fleet = Fleet(rotations=(self.scenario.rotation,))
        return run_fleet(fleet, run, run.run, self.scenario.guarantee)

    def _count(self, summary: Summary) -> None:
        for result in summary.results:
            self.outcomes[result.outcome.value] += 1
            if result.error_kind == RotatorError.__name__:  # of an unforeseen exception; no port raises it
                self.violate(f"the job has a defect: {result.error}")
        self.failed_runs += summary.failed
        self.outcomes["failed_late"] += summary.failed_late

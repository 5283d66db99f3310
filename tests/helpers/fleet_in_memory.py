"""A fleet in memory: its rotations, its ports and its runs."""

from __future__ import annotations

from typing import Any

import fake_ports
from fake_ports import Clock, FakePorts, rotation
from rotator.config.registry import Fleet
from rotator.fleet.executor import InlineExecutor, executor_for
from rotator.fleet.run import run_fleet
from rotator.fleet.write_rate import WriteRate
from rotator.renewal.guarantee import Guarantee
from rotator.renewal.models import Outcome, Rotation, Summary

CONTRACT = Guarantee(schedule_interval=300, consumer_cache=300)
HOUR = 3600
GOOD = "https://good.example.test/token"


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
        run = {name: options.pop(name) for name in ("force", "dry_run") if name in options}
        return run_fleet(
            self.fleet,
            self.ports,
            fake_ports.run(self.clock, name=f"run-{self.runs}", budget=budget, **run),
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

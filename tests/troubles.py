"""A fleet in trouble, and what one process remembers from run to run."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import fakes
from fakes import Clock, FakePorts, rotation
from rotator.contract import Contract
from rotator.fleet import Fleet, run_fleet
from rotator.memory import Memory
from rotator.model import Outcome, Rotation, Summary
from rotator.pace import Pace

CONTRACT = Contract(schedule_interval=300, consumer_cache=300)
HOUR = 3600


def member(name: str, **settings: Any) -> Rotation:
    return rotation(name=name, parameter_name=f"/fleet/{name}", **settings)


class World:
    """A fleet at two writes a second, and what one process remembers from run to run."""

    def __init__(self, *rotations: Rotation) -> None:
        self.clock = Clock()
        self.ports: FakePorts = fakes.ports(self.clock)
        self.fleet = Fleet(rotations=rotations)
        self.memory = Memory()
        self.pace = Pace(2, clock=lambda: self.clock.now().timestamp(), sleep=self.clock.sleep)

    def run(self, *, pace: bool = True, **options: Any) -> Summary:
        run = replace(fakes.run(self.clock), memory=self.memory)
        return run_fleet(
            self.fleet, self.ports, replace(run, pace=self.pace) if pace else run, CONTRACT, **options
        )

    def store_tokens(self) -> World:
        """Let every rotation have a token, each a little younger than the one before."""
        for each in self.fleet.rotations:
            run_fleet(Fleet(rotations=(each,)), self.ports, fakes.run(self.clock), CONTRACT)
            self.clock.sleep(10)
        self.ports.parameters.writes.clear()
        self.ports.token_endpoint.requests.clear()
        return self


def served(summary: Summary) -> set[str]:
    return {result.name for result in summary.results if result.outcome is Outcome.ROTATED}

"""A fleet with workers, on fakes."""

from __future__ import annotations

import json
from typing import Any

import fake_ports
from fake_ports import FakePorts, FakeWorkQueue
from rotator.bootstrap import Rotator
from rotator.config.environment import Settings
from rotator.renewal.models import Parameter, Summary
from rotator.workers import queue_messages

PATH = "/rotations"


def document(of: str, **changes: Any) -> str:
    """A rotation's document."""
    given = {"secret_id": "healthwise/client", "parameter_name": f"/tokens/{of}", **changes}
    return json.dumps(given)


class Workshop:
    """A fleet with workers, on a clock of its own, whose rotations have documents."""

    def __init__(self, *names: str) -> None:
        self.clock = fake_ports.Clock()
        self.ports: FakePorts = fake_ports.ports(self.clock)
        self.queue = FakeWorkQueue()
        self.opened = self.runs = 0
        for name in names:
            self.write(name, document(name))
        settings = Settings(rotation=None, rotations_path=PATH, queue_url="https://queue", workers=2)
        self.rotator = Rotator(settings=settings, ports=self.ports, open_queue=self.open)

    def open(self) -> FakeWorkQueue:
        self.opened += 1
        return self.queue

    def write(self, name: str, text: str) -> None:
        parameter = Parameter(value=text, version=1, type="String")
        self.ports.parameters.parameters[f"{PATH}/{name}"] = parameter

    def run_once(self) -> Summary:
        return self.rotator.run_scheduled(fake_ports.run(self.clock))

    def work(self, *names: str) -> Summary:
        """What a worker does that is asked for these, in a message each."""
        batch = queue_messages.Batch(wanted={name: (name,) for name in names}, malformed={})
        self.runs += 1
        return self.rotator.work(fake_ports.run(self.clock, name=f"worker-{self.runs}"), batch)

    @property
    def sent(self) -> list[str]:
        return [name for message in self.queue.messages for name in json.loads(message)["rotations"]]


def outcomes(summary: Summary) -> dict[str, str]:
    return {result.name: result.outcome.value for result in summary.results}


NAMES = [f"tenant-{number:02}" for number in range(25)]

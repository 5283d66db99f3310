"""Rotations with a home Region and two replica Regions, in memory."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import fake_ports
from fake_ports import FakeParameterStore, FakePorts, rotation
from rotator.bootstrap import Rotator
from rotator.config.environment import Settings
from rotator.errors import ParameterStoreError
from rotator.fleet.write_rate import WriteRate
from rotator.renewal.models import Parameter, Rotation, Summary
from rotator.replication.region_copies import Replica

REGIONS = IRELAND, OREGON = "eu-west-1", "us-west-2"
TOKEN = rotation().parameter_name
DENIED = ParameterStoreError("writing the parameter failed: AccessDeniedException", advice="allow it")
DOWN = ParameterStoreError("reading failed: Unreachable", advice="check the path", unreachable=True)


def opener(store: FakeParameterStore) -> Callable[[], FakeParameterStore]:
    return lambda: store


@dataclass
class World:
    """Rotations with a home Region and two replica Regions in memory."""

    rotations: Sequence[Rotation] = (rotation(),)
    clock: fake_ports.Clock = field(default_factory=fake_ports.Clock)

    def __post_init__(self) -> None:
        self.ports: FakePorts = fake_ports.ports(self.clock)
        self.stores = {IRELAND: FakeParameterStore(), OREGON: FakeParameterStore()}
        self.replicas = tuple(
            Replica(region=region, open=opener(store), write_rate=WriteRate(1e9))
            for region, store in self.stores.items()
        )

    @property
    def home(self) -> FakeParameterStore:
        return self.ports.parameters

    def rotator(self, **changes: Any) -> Rotator:
        for each in self.rotations[1:]:
            document = f'{{"secret_id": "{each.secret_id}", "parameter_name": "{each.parameter_name}"}}'
            self.home.parameters[f"/rotations/{each.name}"] = Parameter(
                value=document, version=1, type="String"
            )
        settings = Settings(rotation=self.rotations[0])
        if len(self.rotations) > 1:
            settings = Settings(rotation=None, rotations_path="/rotations")
        made = {"settings": settings, "ports": self.ports, "replicas": self.replicas, **changes}
        return Rotator(**made)

    def run(self, *, budget: float = 60, **options: Any) -> Summary:
        rotator = self.rotator()
        run = fake_ports.run(self.clock, budget=budget)
        return rotator.run(run, **options) if options else rotator.run_scheduled(run)

    def tokens(self, name: str = TOKEN) -> list[str | None]:
        """Return the token in the home Region and in each replica Region."""
        stores = (self.home, *self.stores.values())
        return [store.parameters[name].value if name in store.parameters else None for store in stores]


def fleet_of(*names: str) -> list[Rotation]:
    return [rotation(), *(rotation(name=name, parameter_name=f"/{name}/token") for name in names)]


class Hanging(FakeParameterStore):
    """A store that answers only after the test releases it."""

    def __init__(self) -> None:
        super().__init__()
        self.released = threading.Event()

    def read(self, names: Sequence[str]) -> Mapping[str, Parameter]:
        self.released.wait(20)
        return super().read(names)

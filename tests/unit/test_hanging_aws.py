"""An AWS that hangs or answers nobody: a run ends in time, and each rotation is told why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import pytest

import fakes
from fakes import Clock
from rotator.agenda import AT_A_TIME
from rotator.errors import CredentialsError, ParameterStoreError
from rotator.model import ClientCredentials, Outcome, Rotation
from rotator.writes import WRITES_AT_A_TIME
from troubles import World, member

pytestmark = pytest.mark.usefixtures("nobody_waits_for_ever")


def unreachable(kind: type[Any], message: str) -> Any:
    error = kind(message, advice="check the network")
    error.unreachable = True
    return error


def hang(clock: Clock) -> None:
    """Find nobody for 35 seconds, from the run's beginning on."""
    clock.time = max(clock.time, fakes.START + timedelta(seconds=35))


def test_after_a_write_that_nobody_answered_no_other_is_begun_and_each_rotation_is_told_why() -> None:
    world = World(*(member(f"m{n}", token_endpoint=f"https://h{n}.example.test/") for n in range(200)))
    tried: list[str] = []

    def find_nobody(name: str) -> None:
        tried.append(name)
        hang(world.clock)
        raise unreachable(ParameterStoreError, "writing failed: Unreachable")

    world.ports.parameters.before_write = find_nobody
    summary = world.run()
    assert 1 <= len(tried) <= 2 * WRITES_AT_A_TIME
    assert {result.error_kind for result in summary.results} == {"ParameterStoreError"}
    assert sum("nobody answered another write" in str(result.error) for result in summary.results) >= 160
    assert len(summary.results) == 200
    for result in summary.results:
        if "nobody answered another write" in str(result.error):
            assert str(result.error).startswith(f"the parameter /fleet/{result.name}/")


def test_a_write_that_nobody_answered_for_a_moment_stops_nothing() -> None:
    world = World(*(member(f"m{n}", token_endpoint=f"https://h{n}.example.test/") for n in range(200)))

    def fail_once(_name: str) -> None:
        world.ports.parameters.before_write = lambda _name: None
        raise unreachable(ParameterStoreError, "writing failed: Unreachable")

    world.ports.parameters.before_write = fail_once
    assert world.run(pace=False).to_dict()["failed"] == 1


@pytest.mark.parametrize("kind", ["token", "status"])
def test_after_a_token_or_status_that_nobody_took_no_other_token_is_asked_for(kind: str) -> None:
    world = World(*(member(f"m{n}", token_endpoint=f"https://h{n}.example.test/") for n in range(200)))

    world.ports.parameters = Hung(kind, world.clock)
    summary = world.run(pace=False)
    assert len(world.ports.token_endpoint.requests) <= AT_A_TIME
    assert {result.outcome for result in summary.results} == {Outcome.FAILED}
    assert len(summary.results) == 200


class Hung(fakes.FakeParameterStore):
    """Takes claims, and then nobody answers."""

    def __init__(self, kind: str, clock: Clock) -> None:
        super().__init__()
        self.kind, self.clock = kind, clock

    def put(self, name: str, value: str, type_name: str, *, overwrite: bool = True) -> int:
        is_claim = name.endswith("/status") and '"claimed_by"' in value
        if not is_claim and name.endswith("/status") == (self.kind == "status"):
            hang(self.clock)
            raise unreachable(ParameterStoreError, "writing failed: Unreachable")
        return super().put(name, value, type_name, overwrite=overwrite)


class Unreachable(fakes.FakeSecretStore):
    """Nobody answers, whether secrets are asked for together, if that is allowed at all, or alone."""

    def __init__(self, clock: Clock, *, together: bool) -> None:
        super().__init__()
        self.clock, self.together = clock, together
        self.calls = 0

    def read_together(
        self, rotations: Sequence[Rotation]
    ) -> Mapping[str, ClientCredentials | CredentialsError]:
        if not self.together:
            return {}
        return {rotations[0].name: self.read(rotations[0])}

    def read(self, rotation: Rotation) -> ClientCredentials:
        self.calls += 1
        hang(self.clock)
        raise unreachable(CredentialsError, f"{rotation.secret_id} could not be read: Unreachable")


@pytest.mark.parametrize(("together", "calls"), [(True, 1), (False, AT_A_TIME)])
def test_a_secrets_manager_that_nobody_reaches_is_not_asked_again(together: bool, calls: int) -> None:
    world = World(
        *(member(f"m{n}", secret_id=f"s{n}", token_endpoint=f"https://h{n}.test/") for n in range(200))
    )
    world.ports.secrets = store = Unreachable(world.clock, together=together)
    summary = world.run(pace=False)
    assert 1 <= store.calls <= calls
    assert world.ports.parameters.writes == []
    assert {result.outcome for result in summary.results} == {Outcome.FAILED}
    told = {r.name: str(r.error) for r in summary.results if r.error_kind == "CredentialsError"}
    assert all(f"s{name[1:]} " in error for name, error in told.items())


class Unbatched(fakes.FakeSecretStore):
    """Secrets can be read one by one only."""

    def read_together(
        self, rotations: Sequence[Rotation]
    ) -> Mapping[str, ClientCredentials | CredentialsError]:
        super().read_together(rotations)
        return {}


def test_a_batch_that_told_nothing_is_not_tried_again_for_every_rotation() -> None:
    world = World(*(member(f"m{number}") for number in range(50)))
    world.ports.secrets = store = Unbatched()
    assert world.run(pace=False).to_dict()["rotated"] == 50
    assert (len(store.batches), store.reads) == (1, 50)

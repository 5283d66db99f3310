"""``rotator status`` with replicas in other Regions, for people and as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from click.testing import CliRunner

from fake_ports import FakeParameterStore, rotation
from multiple_rotations import MultipleRotations, document
from rotator import bootstrap
from rotator.cli import main
from rotator.errors import ParameterStoreError
from rotator.fleet.write_rate import WriteRate
from rotator.renewal.deadline import Deadline
from rotator.replication import replica as replica_copy
from rotator.replication.region_copies import Replica

IRELAND, OREGON = "eu-west-1", "us-west-2"


def opener(store: FakeParameterStore) -> Callable[[], FakeParameterStore]:
    return lambda: store


class World(MultipleRotations):
    """Two rotations, whose replicas are in sync in two Regions."""

    def __init__(self) -> None:
        super().__init__(a=document("a"), b=document("b"))
        self.stores = {IRELAND: FakeParameterStore(), OREGON: FakeParameterStore()}
        for name in "ab":
            self.token(name, hours_left=20)
            each = rotation(name=name, parameter_name=f"/{name}/token")
            for region, store in self.stores.items():
                replica_copy.copy(each, region, self.ports.parameters, store, Deadline(lambda: 60.0))
        regions = tuple(
            Replica(region=region, open=opener(store), write_rate=WriteRate(2))
            for region, store in self.stores.items()
        )
        self.rotator = replace(self.rotator, replicas=regions)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()
    monkeypatch.setattr(bootstrap, "build", lambda _environ: made.rotator)
    monkeypatch.setattr(bootstrap, "utc_now", made.clock.now)
    return made


def status(*args: str, code: int = 0) -> str:
    done = CliRunner().invoke(main.main, ["status", *args], env={"COLUMNS": "200"})
    assert done.exit_code == code, done.output
    return done.output


def as_json(*args: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(status("--json", *args))["rotations"]
    return found


def test_json_has_each_replica_of_each_rotation(world: World) -> None:
    in_sync = {
        "state": "in sync",
        "parameter_version": 1,
        "seconds_remaining": 72_000,
        "behind": False,
        "error": None,
    }
    for line in as_json():
        assert line["replicas"] == [{"region": IRELAND, **in_sync}, {"region": OREGON, **in_sync}]


def test_table_shows_each_replica(world: World) -> None:
    shown = status("a")
    rows = [line.split() for line in shown.splitlines()]
    assert ["a", IRELAND, "in", "sync", "20", "h", "1"] in rows
    assert ["a", OREGON, "in", "sync", "20", "h", "1"] in rows
    assert "behind" not in shown


def test_replica_behind_is_shown_and_changes_no_exit_code(world: World) -> None:
    world.token("a", hours_left=22)
    del world.stores[OREGON].parameters["/a/token"]
    (line,) = as_json("a")
    found = [(each["state"], each["behind"], each["seconds_remaining"]) for each in line["replicas"]]
    assert found == [("behind", True, 72_000), ("missing", True, None)]
    assert "the next scheduled run writes the replicas that are behind" in status("a")


def test_unreadable_region_is_reported_once_with_its_error(world: World) -> None:
    error = ParameterStoreError("reading failed: AccessDeniedException", advice="allow it")
    world.stores[IRELAND].fails["read"] = error
    for line in as_json():
        assert [each["state"] for each in line["replicas"]] == ["unreadable", "in sync"]
        assert line["replicas"][0]["error"] == str(error)
    assert status().count(str(error)) == 1


def test_replica_of_an_unknown_token_is_not_called_behind(world: World) -> None:
    del world.ports.parameters.parameters["/a/token/status"]
    (line,) = json.loads(status("--json", "a", code=1))["rotations"]
    assert {(each["state"], each["behind"]) for each in line["replicas"]} == {("unknown", None)}


def test_status_without_replicas_has_no_such_field(world: World) -> None:
    world.rotator = replace(world.rotator, replicas=())
    assert all("replicas" not in line for line in as_json())
    assert "replica" not in status()

"""The doctor's checks of replicas in other Regions."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from doctor_patient import BROKEN, CHECKS, Patient, healthy
from fake_ports import FakeParameterStore, rotation
from rotator.doctor.check import State
from rotator.errors import RotatorError
from rotator.fleet.write_rate import WriteRate
from rotator.renewal.deadline import Deadline
from rotator.replication import replica as replica_copy
from rotator.replication.region_copies import Replica

REGIONS = ("eu-west-1", "us-west-2")
CHECK = f"replica {REGIONS[0]}"


def opener(store: FakeParameterStore) -> Callable[[], FakeParameterStore]:
    return lambda: store


def with_replicas() -> tuple[Patient, FakeParameterStore]:
    """A patient with two replicas in sync, and the first one's store."""
    patient, stores = healthy(), [FakeParameterStore() for _ in REGIONS]
    for region, store in zip(REGIONS, stores, strict=True):
        replica_copy.copy(rotation(), region, patient.ports.parameters, store, Deadline(lambda: 60.0))
    patient.replicas = tuple(
        Replica(region=region, open=opener(store), write_rate=WriteRate(2))
        for region, store in zip(REGIONS, stores, strict=True)
    )
    return patient, stores[0]


def test_replicas_in_sync_pass_a_check_each() -> None:
    findings = with_replicas()[0].examine()
    assert [check.name for check in findings.checks] == [*CHECKS, *(f"replica {each}" for each in REGIONS)]
    assert findings[CHECK].found == "version 1 is the home Region's current token and valid for 23 h"
    assert (findings[CHECK].rotation, findings.code) == ("default", 0)


def test_missing_replica_fails_with_the_next_step() -> None:
    patient, store = with_replicas()
    store.parameters.clear()
    findings = patient.examine()
    assert findings.failed == {CHECK}
    assert (findings[CHECK].found, findings.code) == ("the replica has no token yet", 1)
    assert (findings[CHECK].advice or "").startswith("wait for the next run, which writes the replica, or")


def test_replica_with_another_token_is_behind() -> None:
    patient, _ = with_replicas()
    patient.store(hours_old=0.5)
    findings = patient.examine()
    assert {findings[f"replica {region}"].found for region in REGIONS} == {
        "the replica has another token than the home Region"
    }


def test_unreadable_replica_fails_with_its_own_error() -> None:
    patient, store = with_replicas()
    store.fails["read"] = BROKEN
    findings = patient.examine()
    assert (findings[CHECK].found, findings[CHECK].advice) == (BROKEN.problem, BROKEN.advice)
    assert findings.failed == {CHECK}


def test_replica_without_a_token_at_home_is_not_checked() -> None:
    patient, _ = with_replicas()
    del patient.ports.parameters.parameters["/healthwise/token/status"]
    findings = patient.examine()
    assert findings.failed == {"stored token"}
    assert findings[CHECK].state is State.SKIPPED


def test_replica_is_not_read_without_an_identity() -> None:
    patient, store = with_replicas()
    patient.inspector.fails["identity"] = RotatorError("no credentials", advice="log in")
    reads = store.reads
    findings = patient.examine()
    assert findings[CHECK].state is State.SKIPPED
    assert store.reads == reads


@pytest.mark.parametrize("region", REGIONS)
def test_region_that_cannot_be_opened_concerns_its_own_check(region: str) -> None:
    patient, _ = with_replicas()

    def fail() -> FakeParameterStore:
        raise RotatorError(f"{region} is the home Region", advice="remove it")

    patient.replicas = tuple(
        Replica(region=each.region, open=fail, write_rate=each.write_rate) if each.region == region else each
        for each in patient.replicas
    )
    assert patient.examine().failed == {f"replica {region}"}

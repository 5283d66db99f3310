"""A replica of a token in another Region: when it is behind, and how it is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

import fake_ports
from fake_ports import START, FakeParameterStore, rotation
from rotator.consumer.parse import Found, token_times
from rotator.errors import ParameterStoreError
from rotator.oauth.models import Secret
from rotator.renewal import policy, renew
from rotator.renewal import status as status_text
from rotator.renewal.deadline import Deadline
from rotator.renewal.models import Parameter, Status, Stored
from rotator.renewal.policy import TokenState
from rotator.replication import replica as replica_copy

REGION = "eu-west-1"
ROTATION = rotation()
TOKEN, STATUS = ROTATION.parameter_name, ROTATION.status_name
IN_TIME = Deadline(lambda: 60.0)


def status_of(token: str, version: int, **changes: object) -> Status:
    status = Status(
        parameter_version=version,
        issued_at=START,
        expires_at=START + timedelta(days=1),
        renew_at=START + timedelta(hours=16),
        scope="*",
        token_sha256=Secret(token).fingerprint,
        secret_version_id="secret-v1",
        rotator_version="0",
        lease_version=7,
    )
    return replace(status, **changes)  # type: ignore[arg-type]


def publish(store: FakeParameterStore, token: str, **changes: object) -> None:
    version = store.write_token(ROTATION, Secret(token))
    store.write_status(ROTATION, status_text.dump(status_of(token, version, **changes)))
    store.writes.clear()


@pytest.fixture
def home() -> FakeParameterStore:
    store = FakeParameterStore()
    for token in ("one", "two", "three"):
        publish(store, token)
    return store


@pytest.fixture
def replica() -> FakeParameterStore:
    return FakeParameterStore()


def copy(home: FakeParameterStore, replica: FakeParameterStore, deadline: Deadline = IN_TIME) -> bool:
    return replica_copy.copy(ROTATION, REGION, home, replica, deadline)


def test_copy_writes_the_token_then_its_status(home: FakeParameterStore, replica: FakeParameterStore) -> None:
    assert copy(home, replica)
    assert replica.writes == [TOKEN, STATUS]
    assert replica.parameters[TOKEN].value == "three"
    assert replica.parameters[TOKEN].type == "SecureString"
    assert home.writes == []


def test_status_of_a_replica_names_its_own_version_and_no_lease(
    home: FakeParameterStore, replica: FakeParameterStore
) -> None:
    copy(home, replica)
    status = replica.status()
    assert (home.status()["parameter_version"], status["parameter_version"]) == (3, 1)
    assert status == {**home.status(), "parameter_version": 1, "lease_version": 0}


def test_consumer_trusts_the_status_of_a_replica(
    home: FakeParameterStore, replica: FakeParameterStore
) -> None:
    copy(home, replica)
    token, status = replica.parameters[TOKEN], replica.parameters[STATUS]
    found = Found(token=token.value, version=token.version, status=status.value)
    assert token_times(TOKEN, found)[0] == START + timedelta(days=1)


def test_copy_of_the_same_token_writes_nothing(home: FakeParameterStore, replica: FakeParameterStore) -> None:
    copy(home, replica)
    replica.writes.clear()
    assert not copy(home, replica)
    assert replica.writes == []


def test_copy_of_another_token_writes_the_next_version(
    home: FakeParameterStore, replica: FakeParameterStore
) -> None:
    copy(home, replica)
    publish(home, "four")
    assert copy(home, replica)
    assert (replica.parameters[TOKEN].value, replica.status()["parameter_version"]) == ("four", 2)


def test_replica_without_its_status_is_written_again(
    home: FakeParameterStore, replica: FakeParameterStore
) -> None:
    copy(home, replica)
    del replica.parameters[STATUS]
    assert copy(home, replica)
    assert replica.status()["parameter_version"] == replica.parameters[TOKEN].version == 2


def test_token_without_its_status_at_home_is_not_copied(
    home: FakeParameterStore, replica: FakeParameterStore
) -> None:
    home.write_token(ROTATION, Secret("four"))
    assert not copy(home, replica)
    assert replica.writes == []


@pytest.mark.parametrize(("name", "type_name"), [(TOKEN, "String"), (STATUS, "SecureString")])
def test_parameter_of_another_type_is_not_overwritten(
    name: str, type_name: str, home: FakeParameterStore, replica: FakeParameterStore
) -> None:
    replica.put(name, "of another program", type_name)
    replica.writes.clear()
    with pytest.raises(
        ParameterStoreError, match=f"{name} is a {type_name}, not a .*; delete this parameter"
    ):
        copy(home, replica)
    assert replica.writes == []


@pytest.mark.parametrize(("calls", "writes"), [*((calls, []) for calls in range(5)), (5, [TOKEN])])
def test_no_call_begins_after_the_deadline(
    calls: int, writes: list[str], home: FakeParameterStore, replica: FakeParameterStore
) -> None:
    left = iter([1.0] * calls + [0.0] * 9)
    with pytest.raises(ParameterStoreError, match="time ran out"):
        copy(home, replica, Deadline(lambda: next(left)))
    assert replica.writes == writes


def test_token_renewed_during_the_wait_is_copied(
    home: FakeParameterStore, replica: FakeParameterStore
) -> None:
    def renew_and_copy() -> None:
        publish(home, "four")
        copy(home, replica)

    replica_copy.copy(ROTATION, REGION, home, replica, IN_TIME, before_write=renew_and_copy)
    assert replica.parameters[TOKEN].value == "four"
    assert replica.writes == [TOKEN, STATUS], "the token that was read before the wait is not written"


def test_token_renewed_while_home_is_read_is_copied(
    home: FakeParameterStore, replica: FakeParameterStore
) -> None:
    read = replica.read

    def renew_and_copy(names: Sequence[str]) -> Mapping[str, Parameter]:
        replica.read = read  # type: ignore[method-assign]
        found = read(names)
        publish(home, "four", issued_at=START + timedelta(hours=1))
        copy(home, replica)
        return found

    replica.read = renew_and_copy  # type: ignore[method-assign]
    assert not copy(home, replica)
    assert replica.parameters[TOKEN].value == "four"


def test_replica_issued_later_than_home_is_not_overwritten(
    home: FakeParameterStore, replica: FakeParameterStore
) -> None:
    publish(replica, "failover", issued_at=START + timedelta(seconds=1))
    with pytest.raises(ParameterStoreError, match=r"issued later .*; if a stack in that Region renews"):
        copy(home, replica)
    assert replica.writes == []
    publish(home, "four", issued_at=START + timedelta(seconds=1))
    assert copy(home, replica)


BEHIND = status_of("a", 1)


@pytest.mark.parametrize(
    ("home_status", "replica_status", "behind"),
    [
        (BEHIND, None, True),
        (BEHIND, status_of("a", 9, lease_version=0, renew_at=START), False),
        (BEHIND, status_of("b", 1), True),
        (BEHIND, status_of("a", 1, expires_at=START), True),
    ],
)
def test_replica_is_behind_with_another_token_or_expiry(
    home_status: Status, replica_status: Status | None, *, behind: bool
) -> None:
    assert replica_copy.is_behind(home_status, replica_status) is behind


def test_status_of_an_older_version_counts_as_behind() -> None:
    home = Stored(token_version=1, status_version=1, status=status_of("a", 1))
    found = Stored(token_version=2, status_version=1, status=status_of("a", 1))
    assert replica_copy.state_of(REGION, home, found).behind
    assert not replica_copy.state_of(REGION, home, home).behind


ARN = "arn:aws:kms:us-east-1:123456789012"


@pytest.mark.parametrize(
    ("key", "there"),
    [
        (None, None),
        ("alias/tokens", "alias/tokens"),
        (f"{ARN}:alias/tokens", "arn:aws:kms:eu-west-1:123456789012:alias/tokens"),
        (f"{ARN}:key/mrk-12ab", "arn:aws:kms:eu-west-1:123456789012:key/mrk-12ab"),
        ("mrk-12ab", "mrk-12ab"),
    ],
)
def test_key_in_a_replica_region_has_the_same_name(key: str | None, there: str | None) -> None:
    assert replica_copy.key_in(REGION, key) == there


@pytest.mark.parametrize("key", [f"{ARN}:key/1234abcd-12ab", "1234abcd-12ab"])
def test_key_of_one_region_is_refused_before_any_call(key: str, replica: FakeParameterStore) -> None:
    home = FakeParameterStore()
    with pytest.raises(
        ParameterStoreError, match="exists in one Region only; set kms_key_id to a multi-Region key"
    ):
        replica_copy.copy(rotation(kms_key_id=key), REGION, home, replica, IN_TIME)
    assert (home.reads, replica.reads) == (0, 0)


def test_errors_and_states_hold_no_token(home: FakeParameterStore, replica: FakeParameterStore) -> None:
    publish(home, fake_ports.CANARY_TOKEN)
    copy(home, replica)
    assert fake_ports.CANARY_TOKEN not in repr(replica.read_decrypted([TOKEN]))


def test_stack_in_a_replica_region_finds_its_token_fresh(
    home: FakeParameterStore, replica: FakeParameterStore
) -> None:
    copy(home, replica)
    stored = renew.read(ROTATION, replica, START)
    assert policy.token_state(ROTATION, stored, START) is TokenState.FRESH
    assert stored.lease.held_until is None

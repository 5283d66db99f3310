"""The behaviour that the job needs of Parameter Store: the fake and the adapters have it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from fake_ports import CANARY_TOKEN, FakeParameterStore, rotation
from rotator.adapters.runtime import aws_client, replica_region
from rotator.adapters.runtime.parameter_store import SsmParameterStore
from rotator.devstack.deployment import Account
from rotator.errors import ConcurrentUpdate, ParameterStoreError
from rotator.oauth.models import Secret
from rotator.renewal.models import Parameter
from rotator.renewal.ports import ParameterStore

ROTATION = rotation()
TOKEN_NAME, STATUS_NAME = ROTATION.parameter_name, ROTATION.status_name
TOKEN = Secret(CANARY_TOKEN)
LEASE_NAME, LEASE = ROTATION.lease_name, '{"schema": 1, "run": "é"}\n'
REPLICA_REGION = "eu-west-1"
STATUS = '{"schema": 1, "scope": "* é", "parameter_version": 1}\n'


@dataclass
class Backend:
    """A store, and how someone else puts a parameter into it."""

    store: ParameterStore
    put: Callable[[str, str], object]


def _fake() -> Backend:
    store = FakeParameterStore()
    return Backend(store, lambda name, value: store.put(name, value, "String"))


def _ssm(account: Account) -> Backend:
    ssm = account.client("ssm")
    return Backend(
        SsmParameterStore(aws_client.client("ssm")),
        lambda name, value: ssm.put_parameter(Name=name, Value=value, Type="String"),
    )


def _replica(account: Account) -> Backend:
    """Return Parameter Store in a replica Region, as it is opened for replicas."""
    ssm = account.client("ssm", region=REPLICA_REGION)
    return Backend(
        replica_region.open_store(REPLICA_REGION, lambda: None),
        lambda name, value: ssm.put_parameter(Name=name, Value=value, Type="String"),
    )


@pytest.fixture(params=["fake", "ssm", "ssm of a replica Region"])
def world(request: pytest.FixtureRequest) -> Backend:
    if request.param == "fake":
        return _fake()
    account: Account = request.getfixturevalue("moto")
    return _ssm(account) if request.param == "ssm" else _replica(account)


@pytest.fixture
def store(world: Backend) -> ParameterStore:
    return world.store


def test_reading_missing_names_returns_nothing(store: ParameterStore) -> None:
    assert store.read([TOKEN_NAME, STATUS_NAME]) == {}


def test_missing_name_is_omitted(store: ParameterStore) -> None:
    store.write_token(ROTATION, TOKEN)
    assert store.read([TOKEN_NAME, STATUS_NAME]).keys() == {TOKEN_NAME}


def test_ten_names_are_read_at_once(store: ParameterStore) -> None:
    rotations = [rotation(parameter_name=f"/healthwise/token-{number}") for number in range(10)]
    for each in rotations:
        store.write_token(each, TOKEN)
    names = [each.parameter_name for each in rotations]
    assert store.read(names).keys() == set(names)


def test_more_than_ten_names_are_refused(store: ParameterStore) -> None:
    with pytest.raises(ParameterStoreError):
        store.read([f"/healthwise/token-{number}" for number in range(11)])


def test_each_token_write_returns_the_next_version(store: ParameterStore) -> None:
    assert [store.write_token(ROTATION, TOKEN) for _ in range(3)] == [1, 2, 3]


def test_stored_token_is_a_secure_string_of_the_written_version(store: ParameterStore) -> None:
    version = [store.write_token(ROTATION, TOKEN) for _ in range(2)][-1]
    stored = store.read([TOKEN_NAME])[TOKEN_NAME]
    assert (stored.type, stored.version) == ("SecureString", version)


def test_a_token_is_never_read_in_the_clear(store: ParameterStore) -> None:
    store.write_token(ROTATION, TOKEN)
    read = [store.read([TOKEN_NAME]), below(store, "/healthwise")]
    # moto's cipher is a prefix before the value, so no more than "not the same" can be asked for.
    assert TOKEN.value not in [found[TOKEN_NAME].value for found in read]


def test_token_is_decrypted_for_a_copy_with_its_status(store: ParameterStore) -> None:
    store.write_token(ROTATION, TOKEN)
    store.write_status(ROTATION, STATUS)
    found = store.read_decrypted([TOKEN_NAME, STATUS_NAME, LEASE_NAME])
    assert {name: each.value for name, each in found.items()} == {
        TOKEN_NAME: TOKEN.value,
        STATUS_NAME: STATUS,
    }
    assert found[TOKEN_NAME].version == 1
    assert TOKEN.value not in repr(found)


def test_status_is_a_string_that_reads_back_exactly(store: ParameterStore) -> None:
    assert store.write_status(ROTATION, STATUS) == 1
    status = store.read([STATUS_NAME])[STATUS_NAME]
    assert (status.type, status.value, status.version) == ("String", STATUS, 1)


def test_each_status_write_returns_the_next_version(store: ParameterStore) -> None:
    assert [store.write_status(ROTATION, text) for text in ("first", "second", "third")] == [1, 2, 3]
    assert store.read([STATUS_NAME])[STATUS_NAME].value == "third"


def test_token_status_and_lease_have_independent_versions(store: ParameterStore) -> None:
    versions = [store.write_token(ROTATION, TOKEN) for _ in range(3)]
    written = store.write_status(ROTATION, STATUS), store.create_lease(ROTATION, LEASE)
    assert (versions[-1], *written) == (3, 1, 1)


def test_lease_is_a_string_that_reads_back_exactly(store: ParameterStore) -> None:
    assert store.create_lease(ROTATION, LEASE) == 1
    lease = store.read([LEASE_NAME])[LEASE_NAME]
    assert (lease.type, lease.value, lease.version) == ("String", LEASE, 1)


def test_creating_an_existing_lease_leaves_it_unchanged(store: ParameterStore) -> None:
    store.create_lease(ROTATION, LEASE)
    before = store.read([LEASE_NAME])
    with pytest.raises(ConcurrentUpdate):
        store.create_lease(ROTATION, "another")
    assert store.read([LEASE_NAME]) == before


def test_only_one_of_two_writers_gets_the_next_version(store: ParameterStore) -> None:
    store.create_lease(ROTATION, LEASE)
    read = store.read([LEASE_NAME])[LEASE_NAME].version
    answers = [store.write_lease(ROTATION, run) for run in ("run-1", "run-2")]
    assert [answer == read + 1 for answer in answers] == [True, False]


def written(store: ParameterStore, count: int) -> ParameterStore:
    """Store this number of versions of a lease; each contains its own number."""
    store.create_lease(ROTATION, "1")
    for number in range(2, count + 1):
        store.write_lease(ROTATION, str(number))
    return store


def test_earlier_versions_are_read_by_their_numbers(store: ParameterStore) -> None:
    found = written(store, 4).read_versions(LEASE_NAME, [2, 3])
    assert {version: (each.value, each.version) for version, each in found.items()} == {
        2: ("2", 2),
        3: ("3", 3),
    }


def test_more_than_ten_versions_are_read(store: ParameterStore) -> None:
    found = written(store, 25).read_versions(LEASE_NAME, range(2, 25))
    assert {version: each.value for version, each in found.items()} == {n: str(n) for n in range(2, 25)}


def test_missing_versions_are_omitted(store: ParameterStore) -> None:
    assert written(store, 2).read_versions(LEASE_NAME, [2, 3, 4]).keys() == {2}
    assert store.read_versions("/healthwise/nothing", [1]) == {}
    assert store.read_versions(LEASE_NAME, []) == {}


def test_a_hundred_versions_are_kept(store: ParameterStore) -> None:
    assert written(store, 105).read_versions(LEASE_NAME, range(1, 106)).keys() == {*range(6, 106)}


def below(store: ParameterStore, path: str) -> dict[str, Parameter]:
    """Everything below a path, of all pages."""
    return {name: found for page in store.read_path(path) for name, found in page.items()}


def test_path_read_returns_only_parameters_below_the_path(world: Backend) -> None:
    documents = {f"/rotations/{number:02}": f"document {number}" for number in range(23)}
    documents["/rotations/team/deeper"] = "a document"
    beside = ("/rotations", "/rotations-old/01", "/other/rotations/01")
    for name, value in {**documents, **dict.fromkeys(beside, "not ours")}.items():
        world.put(name, value)
    found = below(world.store, "/rotations")
    assert {name: parameter.value for name, parameter in found.items()} == documents


def test_a_slash_at_the_end_of_a_path_makes_no_difference(world: Backend) -> None:
    world.put("/rotations/one", "a document")
    assert below(world.store, "/rotations/") == below(world.store, "/rotations") != {}


def test_empty_path_returns_nothing(store: ParameterStore) -> None:
    assert below(store, "/rotations") == {}


def test_regions_hold_independent_parameters(moto: Account) -> None:
    home, replica = _ssm(moto).store, _replica(moto).store
    home.write_token(ROTATION, TOKEN)
    assert home.write_token(ROTATION, TOKEN) == 2
    assert replica.read([TOKEN_NAME]) == {}
    assert replica.write_token(ROTATION, Secret("another")) == 1
    assert home.read_decrypted([TOKEN_NAME])[TOKEN_NAME].value == TOKEN.value

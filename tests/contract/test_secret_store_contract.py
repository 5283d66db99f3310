"""The behaviour that the job needs of Secrets Manager: the fake and the adapters have it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

import pytest
from botocore.exceptions import ClientError

from fake_ports import CANARY_SECRET, FakeSecretStore, rotation
from rotator.adapters.runtime import aws_client
from rotator.adapters.runtime.secrets_manager import SecretsManager
from rotator.devstack.aws_emulators import ADMINISTRATOR, client_environment
from rotator.devstack.deployment import Account
from rotator.errors import CredentialsError
from rotator.oauth.models import ClientCredentials, Secret, Stage
from rotator.renewal.ports import SecretStore

ROTATION = rotation()


@dataclass
class Backend:
    """A store that holds the rotation's credentials, and the version they have there.

    ``add`` stores another version with a label and returns its id.
    """

    store: SecretStore
    version_id: str
    add: Callable[[Stage, str], str]


def _amazon(account: Account) -> Backend:
    account.create_secret(ROTATION.secret_id, "client", CANARY_SECRET)
    secret = account.client("secretsmanager").describe_secret(SecretId=ROTATION.secret_id)
    (version_id,) = secret["VersionIdsToStages"]

    def add(stage: Stage, client_secret: str) -> str:
        text = json.dumps({"client_id": "client", "client_secret": client_secret})
        added = account.client("secretsmanager").put_secret_value(
            SecretId=ROTATION.secret_id, SecretString=text, VersionStages=[stage.value]
        )
        return str(added["VersionId"])

    return Backend(SecretsManager(aws_client.client("secretsmanager")), version_id, add)


def _fake() -> Backend:
    store = FakeSecretStore()

    def add(stage: Stage, client_secret: str) -> str:
        store.stage(stage, client_secret)
        return store.staged[ROTATION.secret_id, stage].version_id

    return Backend(store, "secret-v1", add)


@pytest.fixture
def ministack(ministack_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    """The embedded account, which the environment leads to; the secret is gone before and after the test."""
    for name, value in client_environment(ministack_endpoint).items():
        monkeypatch.setenv(name, value)
    account = Account(ministack_endpoint, ADMINISTRATOR)
    secrets = account.client("secretsmanager")
    with suppress(ClientError):  # none is there, unless another file's tests left theirs
        secrets.delete_secret(SecretId=ROTATION.secret_id, ForceDeleteWithoutRecovery=True)
    yield account
    secrets.delete_secret(SecretId=ROTATION.secret_id, ForceDeleteWithoutRecovery=True)


@pytest.fixture(params=["fake", "moto", "ministack"])
def world(request: pytest.FixtureRequest) -> Backend:
    return _fake() if request.param == "fake" else _amazon(request.getfixturevalue(request.param))


def test_credentials_are_read_with_the_version_of_their_secret(world: Backend) -> None:
    assert world.store.read(ROTATION) == ClientCredentials(
        client_id="client", client_secret=Secret(CANARY_SECRET), version_id=world.version_id
    )


def test_missing_secret_error_names_it(world: Backend) -> None:
    with pytest.raises(CredentialsError, match="team/forgotten") as caught:
        world.store.read(rotation(secret_id="team/forgotten"))
    assert CANARY_SECRET not in str(caught.value)


@pytest.mark.parametrize("stage", [Stage.PENDING, Stage.PREVIOUS])
def test_unassigned_stage_is_none(world: Backend, stage: Stage) -> None:
    assert world.store.read_stage(ROTATION, stage) is None


@pytest.mark.parametrize("stage", [Stage.PENDING, Stage.PREVIOUS])
def test_other_stage_is_read_with_its_stage_and_version(world: Backend, stage: Stage) -> None:
    version_id = world.add(stage, "another")
    assert version_id != world.version_id
    assert world.store.read_stage(ROTATION, stage) == ClientCredentials(
        client_id="client", client_secret=Secret("another"), version_id=version_id, stage=stage
    )


def test_added_stage_leaves_the_other_stages_unchanged(world: Backend) -> None:
    before = world.store.read(ROTATION)
    world.add(Stage.PENDING, "another")
    assert world.store.read(ROTATION) == before
    assert world.store.read_stage(ROTATION, Stage.PREVIOUS) is None


def test_a_missing_secret_has_no_other_stages(world: Backend) -> None:
    assert world.store.read_stage(rotation(secret_id="team/forgotten"), Stage.PENDING) is None

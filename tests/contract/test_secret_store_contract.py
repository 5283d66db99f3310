"""What the job relies on in Secrets Manager, of the fake and of the adapter alike."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from fakes import CANARY_SECRET, FakeSecretStore, rotation
from rotator.adapters import aws
from rotator.adapters.secrets_manager import SecretsManager
from rotator.errors import CredentialsError
from rotator.local.deployment import Account
from rotator.model import ClientCredentials, Secret
from rotator.ports import SecretStore

ROTATION = rotation()


@dataclass
class World:
    """A store that holds the rotation's credentials, and the version they have there."""

    store: SecretStore
    version_id: str


def _amazon(account: Account) -> World:
    account.create_secret(ROTATION.secret_id, "client", CANARY_SECRET)
    secret = account.client("secretsmanager").describe_secret(SecretId=ROTATION.secret_id)
    (version_id,) = secret["VersionIdsToStages"]
    return World(SecretsManager(aws.client("secretsmanager")), version_id)


@pytest.fixture(params=["fake", "secretsmanager"])
def world(request: pytest.FixtureRequest) -> World:
    if request.param == "fake":
        return World(FakeSecretStore(), "secret-v1")
    return _amazon(request.getfixturevalue("moto"))


def test_credentials_are_read_with_the_version_of_their_secret(world: World) -> None:
    assert world.store.read(ROTATION) == ClientCredentials(
        client_id="client", client_secret=Secret(CANARY_SECRET), version_id=world.version_id
    )


def test_a_missing_secret_is_named(world: World) -> None:
    with pytest.raises(CredentialsError, match="team/forgotten") as caught:
        world.store.read(rotation(secret_id="team/forgotten"))
    assert CANARY_SECRET not in str(caught.value)

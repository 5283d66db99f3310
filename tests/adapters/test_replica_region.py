"""Parameter Store in a replica Region: which Regions are refused, how it fails, and what to do then."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, EndpointConnectionError
from botocore.stub import Stubber

from fake_ports import CANARY_TOKEN, rotation
from leak_check import reported
from rotator.adapters.runtime import replica_region
from rotator.adapters.runtime.parameter_store import SsmParameterStore
from rotator.errors import ParameterStoreError, RotatorError, SettingsError
from rotator.oauth.models import Secret
from rotator.replication.region_copies import LONGEST_CALL_SECONDS

REGION = "eu-west-1"
REMOVE = "remove it from ReplicaRegions (ROTATOR_REPLICA_REGIONS)"
SECONDS_BEFORE_A_RETRY = 1


@pytest.fixture
def throttled() -> list[int]:
    return []


@pytest.fixture
def store(access_key: None, throttled: list[int]) -> SsmParameterStore:
    return replica_region.open_store(REGION, lambda: throttled.append(1))


@pytest.fixture
def stub(store: SsmParameterStore) -> Iterator[Stubber]:
    with Stubber(store._client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def test_client_calls_the_replica_region(store: SsmParameterStore) -> None:
    assert store._client.meta.region_name == REGION
    assert store._client.meta.endpoint_url == f"https://ssm.{REGION}.amazonaws.com"


def test_longest_call_is_what_the_deadline_allows_for(store: SsmParameterStore) -> None:
    config: Any = store._client.meta.config
    attempts = config.retries["total_max_attempts"]
    timeouts = attempts * (config.connect_timeout + config.read_timeout)
    assert timeouts + (attempts - 1) * SECONDS_BEFORE_A_RETRY <= LONGEST_CALL_SECONDS


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("us-east-1", f"us-east-1 is the home Region; {REMOVE}"),
        (
            "cn-north-1",
            "aws-cn, but the home Region us-east-1 is in aws; remove",
        ),
        (
            "us-gov-west-1",
            "us-gov-west-1 is in the partition aws-us-gov, but the home Region us-east-1 is in aws",
        ),
        ("xx-nowhere-1", f"there is no Region xx-nowhere-1; correct the name, or {REMOVE}"),
    ],
)
def test_region_that_holds_no_replica_is_refused(name: str, message: str, access_key: None) -> None:
    with pytest.raises(SettingsError) as caught:
        replica_region.open_store(name, lambda: None)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        ("UnrecognizedClientException", f"enable the Region {REGION} in this account, or {REMOVE}"),
        ("InvalidClientTokenId", f"enable the Region {REGION} in this account, or {REMOVE}"),
        ("AccessDeniedException", "allow this caller ssm:PutParameter on the parameter, and kms:Encrypt"),
        (
            "ThrottlingException",
            "the next run tries again; if the error persists, find out which other callers use up",
        ),
        (
            "InvalidKeyId",
            f"check that kms_key_id names a key in {REGION}, too: the replica of a multi-Region key",
        ),
        ("HierarchyTypeMismatchException", "delete the parameter, which has another type"),
    ],
)
def test_failed_write_names_the_next_step_and_no_token(
    code: str, advice: str, store: SsmParameterStore, stub: Stubber
) -> None:
    stub.add_client_error("put_parameter", code, f"quoting {CANARY_TOKEN}")
    with pytest.raises(ParameterStoreError) as caught:
        store.write_token(rotation(), Secret(CANARY_TOKEN))
    assert f"writing the parameter /healthwise/token failed: {code}; {advice}" in str(caught.value)
    assert CANARY_TOKEN not in reported(caught.value)


def test_throttled_write_is_counted_in_its_own_region(
    store: SsmParameterStore, throttled: list[int], access_key: None
) -> None:
    store._watch({"Error": {"Code": "ThrottlingException"}})
    assert throttled == [1]


@pytest.fixture
def fail_with(store: SsmParameterStore) -> Callable[[BotoCoreError], None]:
    def registry(error: BotoCoreError) -> None:
        def fail(**_: object) -> None:
            raise error

        store._client.meta.events.register("before-call", fail)

    return registry


def test_region_without_an_endpoint_is_named(
    store: SsmParameterStore, fail_with: Callable[[BotoCoreError], None]
) -> None:
    fail_with(EndpointConnectionError(endpoint_url="https://ssm.eu-wets-1.amazonaws.com"))
    with pytest.raises(RotatorError, match=f"check that the Region {REGION} exists, and the network path"):
        store.read(["/healthwise/token"])


def test_denied_decryption_names_both_permissions(store: SsmParameterStore, stub: Stubber) -> None:
    stub.add_client_error("get_parameters", "AccessDeniedException", f"quoting {CANARY_TOKEN}")
    with pytest.raises(ParameterStoreError, match=r"ssm:GetParameters on the parameters.*kms:Decrypt"):
        store.read_decrypted(["/healthwise/token", "/healthwise/token/status"])

"""What no emulator enforces: how Parameter Store refuses, and how a client is not even made."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import (
    BotoCoreError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
)
from botocore.stub import Stubber

from fake_ports import CANARY_TOKEN, rotation
from leak_check import foreign, reported
from rotator.adapters.runtime import aws_client
from rotator.adapters.runtime.parameter_store import SsmParameterStore
from rotator.devstack.deployment import Account
from rotator.errors import ConcurrentUpdate, ParameterStoreError, RotatorError, SettingsError
from rotator.oauth.models import Secret
from rotator.renewal.deadline import Deadline
from rotator.renewal.models import Rotation

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

ROTATION = rotation()
TOKEN_NAME, STATUS_NAME, LEASE_NAME = ROTATION.parameter_name, ROTATION.status_name, ROTATION.lease_name
TOKEN = Secret(CANARY_TOKEN)
NOWHERE = "https://ssm.nowhere.invalid"


@pytest.fixture
def client(access_key: None) -> SSMClient:
    made: SSMClient = aws_client.client("ssm")
    return made


@pytest.fixture
def store(client: SSMClient) -> SsmParameterStore:
    return SsmParameterStore(client)


# What is sent.


@pytest.mark.parametrize(
    ("kms_key_id", "key"), [(None, {}), ("alias/rotator", {"KeyId": "alias/rotator"})], ids=["default", "own"]
)
@pytest.mark.parametrize("tier", ["Standard", "Advanced", "Intelligent-Tiering"])
def test_token_is_written_with_configured_tier_and_key(
    stub: Stubber, store: SsmParameterStore, kms_key_id: str | None, key: dict[str, str], tier: str
) -> None:
    sent = {
        "Name": TOKEN_NAME,
        "Value": CANARY_TOKEN,
        "Type": "SecureString",
        "Tier": tier,
        "Overwrite": True,
    }
    stub.add_response("put_parameter", {"Version": 17, "Tier": "Standard"}, {**sent, **key})
    assert store.write_token(rotation(kms_key_id=kms_key_id, tier=tier), TOKEN) == 17


@pytest.mark.parametrize(
    ("write", "name", "overwrite"),
    [
        (SsmParameterStore.write_status, STATUS_NAME, True),
        (SsmParameterStore.create_lease, LEASE_NAME, False),
        (SsmParameterStore.write_lease, LEASE_NAME, True),
    ],
    ids=["status", "first lease", "lease"],
)
def test_status_and_lease_are_written_with_intelligent_tiering(
    stub: Stubber,
    store: SsmParameterStore,
    write: Callable[[SsmParameterStore, Rotation, str], int],
    name: str,
    overwrite: bool,
) -> None:
    """Without a tier AWS takes the account's default; Standard is refused once a parameter is Advanced."""
    sent = {"Name": name, "Value": "{}", "Type": "String", "Tier": "Intelligent-Tiering"}
    stub.add_response("put_parameter", {"Version": 2}, {**sent, "Overwrite": overwrite})
    assert write(store, rotation(tier="Advanced"), "{}") == 2


def test_parameters_are_read_without_decryption(stub: Stubber, store: SsmParameterStore) -> None:
    sent = {"Names": [TOKEN_NAME, STATUS_NAME], "WithDecryption": False}
    stub.add_response("get_parameters", {"Parameters": []}, sent)
    assert store.read([TOKEN_NAME, STATUS_NAME]) == {}


def test_a_path_is_read_without_decryption_page_by_page(stub: Stubber, store: SsmParameterStore) -> None:
    sent = {"Path": "/rotations", "Recursive": True, "MaxResults": 10, "WithDecryption": False}
    found = [{"Name": f"/rotations/{n}", "Value": "{}", "Version": 1, "Type": "String"} for n in range(2)]
    # A page may be empty and still not be the last.
    stub.add_response("get_parameters_by_path", {"Parameters": found[:1], "NextToken": "1"}, sent)
    stub.add_response(
        "get_parameters_by_path", {"Parameters": [], "NextToken": "2"}, {**sent, "NextToken": "1"}
    )
    stub.add_response("get_parameters_by_path", {"Parameters": found[1:]}, {**sent, "NextToken": "2"})
    assert [list(page) for page in store.read_path("/rotations")] == [["/rotations/0"], [], ["/rotations/1"]]


# What is answered.


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        ("AccessDeniedException", "ssm:PutParameter"),
        ("ThrottlingException", "request rate"),
        ("ValidationException", "check parameter_name"),
        ("InvalidKeyId", "kms_key_id"),
        ("KMSInvalidStateException", "enable the key"),
        ("DisabledException", "enable the key"),
        ("ParameterMaxVersionLimitExceeded", "remove the label"),
        ("ParameterLimitExceeded", "quota"),
        ("HierarchyTypeMismatchException", "another type"),
        ("UnsupportedParameterType", "another type"),
        ("UnrecognizedClientException", "renew the AWS credentials"),
        ("ExpiredTokenException", "renew the AWS credentials"),
        ("InternalServerError", "the next run tries again"),
    ],
)
def test_refused_write_gives_advice_without_quoting_the_token(
    stub: Stubber, store: SsmParameterStore, code: str, advice: str
) -> None:
    stub.add_client_error("put_parameter", code, f"Value {CANARY_TOKEN} at 'value' was refused", 400)
    with pytest.raises(ParameterStoreError) as caught:
        store.write_token(ROTATION, TOKEN)
    assert not isinstance(caught.value, ConcurrentUpdate)
    assert caught.value.problem == f"writing the parameter {TOKEN_NAME} failed: {code}"
    assert advice in caught.value.next_step
    assert CANARY_TOKEN not in reported(caught.value)


@pytest.mark.parametrize(
    ("write", "code"),
    [
        (SsmParameterStore.create_lease, "ParameterAlreadyExists"),
        (SsmParameterStore.create_lease, "TooManyUpdates"),
        (SsmParameterStore.write_lease, "TooManyUpdates"),
    ],
    ids=["created before", "created by another", "written by another"],
)
def test_concurrent_lease_write_raises_concurrent_update(
    stub: Stubber, store: SsmParameterStore, write: Callable[..., int], code: str
) -> None:
    stub.add_client_error("put_parameter", code)
    with pytest.raises(ConcurrentUpdate, match=ROTATION.lease_name):
        write(store, ROTATION, "{}")


@pytest.mark.parametrize(
    ("operation", "read", "place", "action"),
    [
        (
            "get_parameters",
            lambda store: store.read([TOKEN_NAME]),
            f"parameter {TOKEN_NAME}",
            "ssm:GetParameters",
        ),
        (
            "get_parameters_by_path",
            lambda store: list(store.read_path("/rotations")),
            "path /rotations",
            "ssm:GetParametersByPath",
        ),
    ],
    ids=["names", "path"],
)
def test_denied_read_names_the_parameter_or_path_and_action(
    stub: Stubber,
    store: SsmParameterStore,
    operation: str,
    read: Callable[[SsmParameterStore], object],
    place: str,
    action: str,
) -> None:
    stub.add_client_error(operation, "AccessDeniedException")
    with pytest.raises(ParameterStoreError) as caught:
        read(store)
    assert caught.value.problem == f"reading the {place} failed: AccessDeniedException"
    assert f"allow this caller {action} on the {place.split(maxsplit=1)[0]}" in caught.value.advice


def test_a_failing_page_fails_the_whole_path(stub: Stubber, store: SsmParameterStore) -> None:
    stub.add_response("get_parameters_by_path", {"Parameters": [], "NextToken": "1"})
    stub.add_client_error("get_parameters_by_path", "ThrottlingException")
    with pytest.raises(ParameterStoreError, match="ThrottlingException"):
        list(store.read_path("/rotations"))


def test_throttled_page_is_retried_within_the_retry_budget(stub: Stubber, client: SSMClient) -> None:
    seconds, slept = iter([9.0, 2.1, 2.0]), list[float]()
    store = SsmParameterStore(client, sleep=slept.append)
    found = [{"Name": f"/rotations/{n}", "Value": "{}", "Version": 1, "Type": "String"} for n in range(2)]
    stub.add_response("get_parameters_by_path", {"Parameters": found[:1], "NextToken": "1"})
    for _ in range(2):
        stub.add_client_error("get_parameters_by_path", "ThrottlingException")
    stub.add_response("get_parameters_by_path", {"Parameters": found[1:], "NextToken": "2"})
    stub.add_client_error("get_parameters_by_path", "ThrottlingException")
    pages = store.read_path("/rotations", retry_until=Deadline(lambda: next(seconds)))
    assert [list(next(pages)), list(next(pages))] == [["/rotations/0"], ["/rotations/1"]]
    with pytest.raises(ParameterStoreError, match="ThrottlingException"):
        next(pages)
    assert slept == [2, 2]


def test_denied_page_is_not_retried(stub: Stubber, store: SsmParameterStore) -> None:
    stub.add_client_error("get_parameters_by_path", "AccessDeniedException")
    with pytest.raises(ParameterStoreError, match="AccessDenied"):
        list(store.read_path("/rotations", retry_until=Deadline(lambda: 60.0)))


# What is not even sent.


@pytest.mark.parametrize(
    "error",
    [
        EndpointConnectionError(endpoint_url=NOWHERE, error=CANARY_TOKEN),
        ConnectTimeoutError(endpoint_url=NOWHERE, error=CANARY_TOKEN),
        ReadTimeoutError(endpoint_url=NOWHERE, error=CANARY_TOKEN),
        ConnectionClosedError(endpoint_url=NOWHERE, error=CANARY_TOKEN),
    ],
    ids=lambda error: type(error).__name__,
)
def test_unreachable_aws_is_reported_without_the_token(
    store: SsmParameterStore, fail_with: Callable[[BotoCoreError], None], error: BotoCoreError
) -> None:
    fail_with(error)
    with pytest.raises(ParameterStoreError, match=r"Unreachable; .*check the network path") as caught:
        store.write_token(ROTATION, TOKEN)
    assert CANARY_TOKEN not in reported(caught.value)


@pytest.mark.usefixtures("region")
def test_missing_aws_credentials_are_reported() -> None:
    with pytest.raises(ParameterStoreError, match="NoCredentials; set AWS credentials"):
        SsmParameterStore(aws_client.client("ssm")).read([TOKEN_NAME])


def test_a_value_that_the_sdk_refuses_is_not_quoted(store: SsmParameterStore) -> None:
    with pytest.raises(ParameterStoreError, match="ParamValidationError") as caught:
        store.write_token(rotation(parameter_name="", tier=["no text"]), TOKEN)
    assert CANARY_TOKEN not in reported(caught.value)


def test_error_carries_no_sdk_exception(
    store: SsmParameterStore, fail_with: Callable[[BotoCoreError], None]
) -> None:
    fail_with(NoCredentialsError())
    with pytest.raises(ParameterStoreError) as caught:
        store.read([TOKEN_NAME])
    assert foreign(caught.value, RotatorError, aws_client.AwsError) == []


# How a client is made.


def test_missing_region_error_names_the_variable() -> None:
    with pytest.raises(SettingsError, match="set AWS_DEFAULT_REGION"):
        aws_client.client("ssm")


@pytest.mark.usefixtures("region")
def test_unknown_profile_error_names_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "missing")
    with pytest.raises(SettingsError, match="AWS_PROFILE names a profile that does not exist"):
        aws_client.client("ssm")


@pytest.mark.usefixtures("region")
@pytest.mark.parametrize("endpoint", ["127.0.0.1:4566", "http://", "http://a b", "nonsense"])
def test_invalid_endpoint_url_error_names_the_variable(
    endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    with pytest.raises(SettingsError, match="check AWS_ENDPOINT_URL"):
        aws_client.client("ssm")


@pytest.mark.usefixtures("moto")
def test_sdk_debug_log_contains_no_token(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.NOTSET, logger="botocore")
    store = SsmParameterStore(aws_client.client("ssm"))
    store.write_token(ROTATION, TOKEN)
    store.read([TOKEN_NAME])
    assert logging.getLogger("botocore.parsers").getEffectiveLevel() == logging.WARNING
    assert CANARY_TOKEN not in caplog.text


def test_client_writes_a_secure_string_to_an_account(moto: Account) -> None:
    SsmParameterStore(aws_client.client("ssm")).write_token(ROTATION, TOKEN)
    (found,) = moto.client("ssm").describe_parameters()["Parameters"]
    assert (found["Name"], found["Type"]) == (TOKEN_NAME, "SecureString")

"""Every way in which client credentials cannot be had, and what is said about it."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import (
    BotoCoreError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ReadTimeoutError,
)
from botocore.stub import Stubber

from fake_ports import CANARY_SECRET, rotation
from leak_check import foreign, reported
from rotator.adapters.runtime import aws_client
from rotator.adapters.runtime.secrets_manager import FORM, SecretsManager, parse_credentials
from rotator.devstack.deployment import Account
from rotator.errors import CredentialsError, RotatorError
from rotator.oauth.models import BasicEncoding, ClientAuthentication, ClientCredentials, Secret, Stage

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

ROTATION = rotation()
VERSION_ID = "11111111-2222-4333-8444-555555555555"
GOOD = {"client_id": "client", "client_secret": CANARY_SECRET}
NOWHERE = "https://secretsmanager.nowhere.invalid"


@pytest.fixture
def client(access_key: None) -> SecretsManagerClient:
    made: SecretsManagerClient = aws_client.client("secretsmanager")
    return made


@pytest.fixture
def secrets(client: SecretsManagerClient) -> SecretsManager:
    return SecretsManager(client)


def _holds(stub: Stubber, text: str) -> None:
    """Let the secret hold a text."""
    answer = {"SecretString": text, "VersionId": VERSION_ID}
    stub.add_response("get_secret_value", answer, {"SecretId": ROTATION.secret_id})


# The call fails.


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        ("ResourceNotFoundException", "correct secret_id"),
        ("AccessDeniedException", "allow this caller secretsmanager:GetSecretValue"),
        ("DecryptionFailure", "allow this caller kms:Decrypt"),
        ("InvalidRequestException", "scheduled for deletion"),
        ("InvalidParameterException", "check secret_id"),
        ("ValidationException", "check secret_id"),
        ("ThrottlingException", "request rate"),
        ("UnrecognizedClientException", "renew the AWS credentials"),
        ("InternalServiceError", "the next run tries again"),
    ],
)
def test_unreadable_secret_error_has_its_name_and_advice(
    stub: Stubber, secrets: SecretsManager, code: str, advice: str
) -> None:
    stub.add_client_error("get_secret_value", code, f"it holds {CANARY_SECRET}")
    with pytest.raises(CredentialsError) as caught:
        secrets.read(ROTATION)
    assert caught.value.problem == f"the secret {ROTATION.secret_id} could not be read: {code}"
    assert advice in caught.value.next_step
    assert CANARY_SECRET not in reported(caught.value)


@pytest.mark.parametrize(
    "error",
    [
        EndpointConnectionError(endpoint_url=NOWHERE),
        ConnectTimeoutError(endpoint_url=NOWHERE),
        ReadTimeoutError(endpoint_url=NOWHERE),
    ],
    ids=lambda error: type(error).__name__,
)
def test_unreachable_aws_is_a_credentials_error(
    secrets: SecretsManager, fail_with: Callable[[BotoCoreError], None], error: BotoCoreError
) -> None:
    fail_with(error)
    with pytest.raises(CredentialsError, match=r"Unreachable; .*check the network path") as caught:
        secrets.read(ROTATION)
    assert foreign(caught.value, RotatorError, aws_client.AwsError) == []


@pytest.mark.usefixtures("region")
def test_missing_aws_credentials_are_reported() -> None:
    with pytest.raises(CredentialsError, match="NoCredentials; set AWS credentials"):
        SecretsManager(aws_client.client("secretsmanager")).read(ROTATION)


def test_secret_marked_for_deletion_is_reported(moto: Account) -> None:
    moto.create_secret(ROTATION.secret_id, "client", CANARY_SECRET)
    moto.client("secretsmanager").delete_secret(SecretId=ROTATION.secret_id)
    with pytest.raises(CredentialsError, match="scheduled for deletion"):
        SecretsManager(aws_client.client("secretsmanager")).read(ROTATION)


# Another stage.


PENDING = {"SecretId": ROTATION.secret_id, "VersionStage": "AWSPENDING"}


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        ("AccessDeniedException", "allow this caller secretsmanager:GetSecretValue"),
        ("DecryptionFailure", "allow this caller kms:Decrypt"),
        ("InvalidRequestException", "scheduled for deletion"),
        ("ThrottlingException", "request rate"),
        ("InternalServiceError", "the next run tries again"),
    ],
)
def test_unreadable_stage_error_has_the_secret_name_and_advice(
    stub: Stubber, secrets: SecretsManager, code: str, advice: str
) -> None:
    stub.add_client_error("get_secret_value", code, f"it holds {CANARY_SECRET}", expected_params=PENDING)
    with pytest.raises(CredentialsError) as caught:
        secrets.read_stage(ROTATION, Stage.PENDING)
    assert caught.value.problem == f"the secret {ROTATION.secret_id} could not be read: {code}"
    assert advice in caught.value.next_step
    assert CANARY_SECRET not in reported(caught.value)
    assert foreign(caught.value, RotatorError, aws_client.AwsError) == []


def test_unassigned_staging_label_returns_none(stub: Stubber, secrets: SecretsManager) -> None:
    stub.add_client_error(
        "get_secret_value", "ResourceNotFoundException", "no such label", expected_params=PENDING
    )
    assert secrets.read_stage(ROTATION, Stage.PENDING) is None


@pytest.mark.parametrize(
    "answer",
    [
        {"SecretString": CANARY_SECRET},
        {"SecretString": json.dumps([CANARY_SECRET])},
        {"SecretString": json.dumps({"client_id": CANARY_SECRET})},
        {"SecretBinary": CANARY_SECRET.encode()},
    ],
    ids=["not JSON", "a list", "no client_secret", "binary"],
)
def test_malformed_stage_is_refused_without_quoting_it(
    stub: Stubber, secrets: SecretsManager, answer: dict[str, Any]
) -> None:
    stub.add_response("get_secret_value", {**answer, "VersionId": VERSION_ID}, PENDING)
    with pytest.raises(CredentialsError) as caught:
        secrets.read_stage(ROTATION, Stage.PENDING)
    assert CANARY_SECRET not in reported(caught.value)


# The secret is malformed.


def test_a_binary_secret_is_refused(stub: Stubber, secrets: SecretsManager) -> None:
    stub.add_response("get_secret_value", {"SecretBinary": CANARY_SECRET.encode(), "VersionId": VERSION_ID})
    with pytest.raises(CredentialsError, match="is binary") as caught:
        secrets.read(ROTATION)
    assert CANARY_SECRET not in reported(caught.value)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (" ", "is not JSON"),
        (CANARY_SECRET, "is not JSON"),
        (json.dumps(GOOD)[:-1], "is not JSON"),
        ("[" * 20_000, "is not JSON"),
        (json.dumps(CANARY_SECRET), "is not a JSON object"),
        (json.dumps([GOOD]), "is not a JSON object"),
        ("null", "is not a JSON object"),
    ],
    ids=["blank", "plain text", "cut off", "nested without end", "text", "list", "null"],
)
def test_secret_that_is_not_a_json_object_is_refused(
    stub: Stubber, secrets: SecretsManager, text: str, problem: str
) -> None:
    _holds(stub, text)
    with pytest.raises(CredentialsError) as caught:
        secrets.read(ROTATION)
    assert caught.value.problem == f"the secret {ROTATION.secret_id} {problem}"
    assert caught.value.advice == FORM
    assert CANARY_SECRET not in reported(caught.value)


MISSING = object()


@pytest.mark.parametrize("key", ["client_id", "client_secret"])
@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (MISSING, "has no {}"),
        (None, "has no {}"),
        ("", "has an empty {}"),
        (" ", "has an empty {}"),
        (12345, "has a {} that is not text"),
        ([CANARY_SECRET], "has a {} that is not text"),
        (f"{CANARY_SECRET}\n", "has a {} with a control character"),
        (f"{CANARY_SECRET}\0", "has a {} with a control character"),
        (f"{CANARY_SECRET}\ud800", "has a {} with a control character"),
    ],
    ids=["missing", "null", "empty", "blank", "number", "list", "newline", "nul", "lone surrogate"],
)
def test_unusable_secret_member_is_named_in_the_error(
    stub: Stubber, secrets: SecretsManager, key: str, value: object, problem: str
) -> None:
    members = {**GOOD, key: value}
    _holds(stub, json.dumps({name: held for name, held in members.items() if held is not MISSING}))
    with pytest.raises(CredentialsError) as caught:
        secrets.read(ROTATION)
    assert caught.value.problem.startswith(f"the secret {ROTATION.secret_id} {problem.format(key)}")
    assert CANARY_SECRET not in reported(caught.value)


@pytest.mark.parametrize("members", [{}, {"client_secret": None}, {"client_secret": CANARY_SECRET}])
def test_private_key_jwt_reads_no_client_secret(
    stub: Stubber, secrets: SecretsManager, members: dict[str, Any]
) -> None:
    _holds(stub, json.dumps({"client_id": "tenant:client", **members}))
    signed = rotation(client_authentication=ClientAuthentication.PRIVATE_KEY_JWT, signing_key_id="alias/x")
    read = secrets.read(signed)
    assert (read.client_id, read.client_secret) == ("tenant:client", Secret(""))


def test_private_key_jwt_reads_members_for_headers_and_params(stub: Stubber, secrets: SecretsManager) -> None:
    _holds(stub, json.dumps({"client_id": "client", "password": "p", "api_key": "k"}))
    read = secrets.read(
        rotation(
            client_authentication=ClientAuthentication.PRIVATE_KEY_JWT,
            secret_params={"password": "password"},
            secret_headers={"X-API-Key": "api_key"},
        )
    )
    assert read.members == {"password": Secret("p"), "api_key": Secret("k")}


def test_client_secret_jwt_needs_a_client_secret(stub: Stubber, secrets: SecretsManager) -> None:
    _holds(stub, json.dumps({"client_id": "client"}))
    with pytest.raises(CredentialsError, match="has no client_secret"):
        secrets.read(rotation(client_authentication=ClientAuthentication.CLIENT_SECRET_JWT))


def test_a_colon_in_the_client_id_is_refused_with_raw_basic(stub: Stubber, secrets: SecretsManager) -> None:
    _holds(stub, json.dumps({**GOOD, "client_id": "tenant:client"}))
    with pytest.raises(CredentialsError, match="colon; set basic_encoding to form"):
        secrets.read(ROTATION)


@pytest.mark.parametrize(
    "setting",
    [{"basic_encoding": BasicEncoding.FORM}, {"client_authentication": ClientAuthentication.POST}],
    ids=["form", "post"],
)
def test_client_id_colon_is_accepted_with_form_encoding_or_post(
    stub: Stubber, secrets: SecretsManager, setting: dict[str, Any]
) -> None:
    _holds(stub, json.dumps({**GOOD, "client_id": "tenant:client"}))
    assert secrets.read(rotation(**setting)).client_id == "tenant:client"


# The secret is fine.


@pytest.mark.parametrize(
    "members",
    [
        GOOD,
        {"client_id": "klient-ß", "client_secret": "geheim: 秘密 🔑"},
        {**GOOD, "username": "someone", "password": 7, "nested": {"client_id": "another"}},
    ],
    ids=["plain", "beyond ascii", "with other members"],
)
def test_credentials_are_read_unchanged(
    stub: Stubber, secrets: SecretsManager, members: dict[str, Any]
) -> None:
    _holds(stub, json.dumps(members))
    assert secrets.read(ROTATION) == ClientCredentials(
        client_id=members["client_id"],
        client_secret=Secret(members["client_secret"]),
        version_id=VERSION_ID,
    )


@pytest.mark.parametrize(
    "answer",
    [
        {"SecretBinary": json.dumps(GOOD).encode()},
        {"SecretBinary": b"\xef\xbb\xbf" + json.dumps(GOOD).encode()},
        {"SecretBinary": json.dumps(GOOD).encode("utf-16")},
        {"SecretString": "\ufeff" + json.dumps(GOOD)},
        {"SecretString": f" {json.dumps(GOOD)}\r\n"},
        {"SecretString": json.dumps({"oauth": {"id": "client", "clientSecret": CANARY_SECRET}})},
        {"SecretString": json.dumps({"oauth.id": "client", "oauth": {"clientSecret": CANARY_SECRET}})},
    ],
    ids=["binary", "binary with BOM", "UTF-16", "text with BOM", "spaces", "nested", "dot in a name"],
)
def test_credentials_are_read_however_they_are_stored(
    stub: Stubber, secrets: SecretsManager, answer: dict[str, Any]
) -> None:
    stub.add_response(
        "get_secret_value", {**answer, "VersionId": VERSION_ID}, {"SecretId": ROTATION.secret_id}
    )
    nested = "oauth" in str(answer)
    places = {"client_id": "oauth.id", "client_secret": "oauth.clientSecret"} if nested else {}
    found = secrets.read(rotation(secret_members=places))
    assert (found.client_id, found.client_secret) == ("client", Secret(CANARY_SECRET))
    assert found.spaced_members == ()


@pytest.mark.parametrize(
    "value", [f"{CANARY_SECRET} ", f" {CANARY_SECRET}", f"{CANARY_SECRET}\xa0", f"{CANARY_SECRET}\u200b"]
)
def test_value_with_a_space_at_its_end_is_read_and_named(
    stub: Stubber, secrets: SecretsManager, value: str
) -> None:
    _holds(stub, json.dumps({**GOOD, "client_secret": value, "unused": " "}))
    found = secrets.read(ROTATION)
    assert (found.client_secret, found.spaced_members) == (Secret(value), ("client_secret",))


def test_members_for_headers_and_parameters_are_read(stub: Stubber, secrets: SecretsManager) -> None:
    _holds(
        stub, json.dumps({**GOOD, "gateway": {"key": "canary-key"}, "password": "canary-é", "unused": "x"})
    )
    found = secrets.read(
        rotation(secret_headers={"X-Key": "gateway.key"}, secret_params={"password": "password"})
    )
    assert found.members == {"gateway.key": Secret("canary-key"), "password": Secret("canary-é")}


@pytest.mark.parametrize("setting", ["secret_headers", "secret_params", "secret_members"])
@pytest.mark.parametrize(
    ("gateway", "problem"),
    [
        ({}, "has no gateway.key"),
        (None, "has no gateway.key"),
        ({"key": None}, "has no gateway.key"),
        ({"key": ""}, "has an empty gateway.key"),
        ({"key": 5}, "has a gateway.key that is not text"),
        ({"key": ["canary"]}, "has a gateway.key that is not text"),
        ({"key": "canary\n"}, "has a gateway.key with a control character, such as a newline at its end"),
        ([{"key": "canary"}], "has a list in gateway"),
        ("canary", "has a value that is not an object in gateway"),
    ],
)
def test_member_that_a_setting_names_is_refused_by_its_place(
    stub: Stubber, secrets: SecretsManager, setting: str, gateway: object, problem: str
) -> None:
    _holds(stub, json.dumps({**GOOD, "gateway": gateway}))
    names = {"client_id" if setting == "secret_members" else "X-Key": "gateway.key"}
    with pytest.raises(CredentialsError) as caught:
        secrets.read(rotation(**{setting: names}))
    assert caught.value.problem == f"the secret {ROTATION.secret_id} {problem}"
    assert setting in caught.value.advice or "control" in problem
    assert "canary" not in reported(caught.value)


def test_member_that_no_header_may_hold_is_refused(stub: Stubber, secrets: SecretsManager) -> None:
    _holds(stub, json.dumps({**GOOD, "key": "canary-é"}))
    with pytest.raises(
        CredentialsError, match="has a key with characters that a header must not contain"
    ) as caught:
        secrets.read(rotation(secret_headers={"X-Key": "key"}))
    assert "canary" not in reported(caught.value)


def test_member_that_stands_twice_is_refused(stub: Stubber, secrets: SecretsManager) -> None:
    _holds(stub, json.dumps(GOOD)[:-1] + ', "client_secret": "canary-2"}')
    with pytest.raises(CredentialsError, match="has client_secret twice, with different values") as caught:
        secrets.read(ROTATION)
    assert "canary" not in reported(caught.value)


def test_sdk_debug_log_contains_no_secret(moto: Account, caplog: pytest.LogCaptureFixture) -> None:
    moto.create_secret(ROTATION.secret_id, "client", CANARY_SECRET)
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.NOTSET, logger="botocore")
    SecretsManager(aws_client.client("secretsmanager")).read(ROTATION)
    assert CANARY_SECRET not in caplog.text


def test_private_key_jwt_keeps_the_members_that_headers_need() -> None:
    rotation = replace(
        ROTATION,
        client_authentication=ClientAuthentication.PRIVATE_KEY_JWT,
        secret_headers={"X-API-Key": "api_key"},
    )
    stored = json.dumps({"client_id": "demo", "api_key": CANARY_SECRET})
    credentials = parse_credentials(rotation, stored, "v1")
    assert credentials.members == {"api_key": Secret(CANARY_SECRET)}
    assert credentials.client_secret == Secret("")

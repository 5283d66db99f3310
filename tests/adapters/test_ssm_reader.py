"""The errors of a consumer's read of Parameter Store, and their advice."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import (
    BotoCoreError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
)
from botocore.session import get_session
from botocore.stub import Stubber

from fake_ports import CANARY_TOKEN
from leak_check import foreign
from rotator.adapters.runtime import aws_client
from rotator.consumer import TokenSource
from rotator.consumer.ssm import CONFIG, READS_UNTIL_DENIED_IS_RETRIED, SsmReader
from rotator.devstack.deployment import Account
from rotator.errors import SettingsError, TokenUnavailable

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

NAME = "/healthwise/token"
ARN = "arn:aws:ssm:us-east-1:123456789012:parameter"
BOTH = [NAME, f"{NAME}/status"]


@pytest.fixture
def client(access_key: None) -> SSMClient:
    made: SSMClient = aws_client.client("ssm", CONFIG)
    return made


@pytest.fixture
def reader(client: SSMClient) -> SsmReader:
    return SsmReader(NAME, client)


def parameter(name: str = NAME, value: str = CANARY_TOKEN, **more: object) -> dict[str, Any]:
    return {"Name": name, "Value": value, "Version": 7, "Type": "SecureString", **more}


def expect(stub: Stubber, names: list[str], *found: dict[str, Any]) -> None:
    stub.add_response("get_parameters", {"Parameters": list(found)}, {"Names": names, "WithDecryption": True})


def refuse(stub: Stubber, operation: str = "get_parameters", code: str = "AccessDeniedException") -> None:
    stub.add_client_error(operation, code, f"quoting {CANARY_TOKEN}")


def test_token_and_status_are_read_decrypted_in_one_call(stub: Stubber, reader: SsmReader) -> None:
    expect(stub, BOTH, parameter(), parameter(f"{NAME}/status", "{}"))
    found = reader()
    assert (found.token, found.version, found.status) == (CANARY_TOKEN, 7, "{}")


@pytest.mark.parametrize("name", ["token", f"{NAME}:3", f"{NAME}:stable", f"{ARN}{NAME}:3"])
def test_name_without_a_status_parameter_is_read_alone(stub: Stubber, client: SSMClient, name: str) -> None:
    plain, _, selector = name.rpartition(":")
    as_told = parameter(plain, Selector=f":{selector}") if plain else parameter(name)
    expect(stub, [name], as_told)
    assert SsmReader(name, client)().token == CANARY_TOKEN


def test_denied_status_makes_later_reads_token_only(stub: Stubber, reader: SsmReader) -> None:
    refuse(stub)
    expect(stub, [NAME], parameter())
    expect(stub, [NAME], parameter())
    assert [reader().token, reader().status] == [CANARY_TOKEN, None]


def test_throttled_token_read_leaves_the_denied_status_for_the_next_read(
    stub: Stubber, reader: SsmReader
) -> None:
    refuse(stub)
    refuse(stub, code="ThrottlingException")
    expect(stub, BOTH, parameter(), parameter(f"{NAME}/status", "{}"))
    with pytest.raises(TokenUnavailable, match="ThrottlingException"):
        reader()
    assert reader().status == "{}"


def test_denied_status_read_is_retried_periodically(stub: Stubber, reader: SsmReader) -> None:
    refuse(stub)
    for _ in range(READS_UNTIL_DENIED_IS_RETRIED - 1):
        expect(stub, [NAME], parameter())
    expect(stub, BOTH, parameter(), parameter(f"{NAME}/status", "{}"))
    statuses = [reader().status for _ in range(READS_UNTIL_DENIED_IS_RETRIED)]
    assert statuses == [None] * (READS_UNTIL_DENIED_IS_RETRIED - 1) + ["{}"]


def test_get_parameter_is_used_when_get_parameters_is_denied(stub: Stubber, reader: SsmReader) -> None:
    refuse(stub)
    refuse(stub)
    for _ in range(2):
        by_itself = {"Name": NAME, "WithDecryption": True}
        stub.add_response("get_parameter", {"Parameter": parameter()}, by_itself)
    assert [reader().token, reader().token] == [CANARY_TOKEN] * 2


def test_fully_denied_read_lists_permissions_and_is_retried(stub: Stubber, reader: SsmReader) -> None:
    refuse(stub)
    refuse(stub)
    refuse(stub, "get_parameter")
    expect(stub, BOTH, parameter())
    with pytest.raises(TokenUnavailable, match="could not be read: AccessDenied") as caught:
        reader()
    for word in ("ssm:GetParameters", "kms:Decrypt", "ConsumerPolicyArn"):
        assert word in caught.value.advice
    assert reader().token == CANARY_TOKEN


def test_parameter_not_found_by_get_parameter_is_missing(stub: Stubber, reader: SsmReader) -> None:
    refuse(stub)
    refuse(stub)
    refuse(stub, "get_parameter", "ParameterNotFound")
    with pytest.raises(TokenUnavailable, match="there is no parameter"):
        reader()


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (
            "ThrottlingException",
            "the next call tries again; if the error persists, find out which other callers use up",
        ),
        ("InternalServerError", "the next call tries again; if the error persists, check the AWS Health"),
        ("ExpiredTokenException", "renew the AWS credentials, which AWS does not accept"),
        ("InvalidKeyId", "its KMS key is deleted or disabled: enable the key"),
        ("ParameterVersionNotFound", "use a version or label that exists, or none"),
        ("ValidationException", "check its name"),
        ("SomethingNew", "look up this error code in AWS's documentation"),
    ],
)
def test_other_refusals_have_their_code_and_advice(
    stub: Stubber, reader: SsmReader, code: str, advice: str
) -> None:
    refuse(stub, code=code)
    with pytest.raises(TokenUnavailable, match=f"{NAME} could not be read: {code}; {advice}"):
        reader()


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (EndpointConnectionError(endpoint_url="https://x.invalid"), "check the network path to AWS"),
        (ConnectTimeoutError(endpoint_url="https://x.invalid"), "check the network path to AWS"),
        (NoCredentialsError(), "set AWS credentials or AWS_PROFILE"),
    ],
)
def test_connection_or_credentials_failure_has_advice(
    fail_with: Callable[[BotoCoreError], None], reader: SsmReader, error: BotoCoreError, advice: str
) -> None:
    fail_with(error)
    with pytest.raises(TokenUnavailable, match=advice):
        reader()


def test_name_refused_by_the_sdk_is_token_unavailable(client: SSMClient) -> None:
    with pytest.raises(TokenUnavailable, match="ParamValidationError; check its name"):
        SsmReader("", client)()


def test_missing_region_is_a_settings_error() -> None:
    with pytest.raises(SettingsError, match="no AWS Region is set"):
        TokenSource(NAME).token()


def test_error_carries_no_sdk_exception(stub: Stubber, client: SSMClient) -> None:
    for _ in range(2):
        refuse(stub)
    refuse(stub, "get_parameter")
    with pytest.raises(TokenUnavailable) as caught:
        TokenSource(NAME, client=client).token()
    assert CANARY_TOKEN not in str(caught.value)
    assert foreign(caught.value, TokenUnavailable) == []


def test_at_debug_the_sdk_does_not_log_the_token(
    moto: Any, access_key: None, caplog: pytest.LogCaptureFixture
) -> None:
    moto.client("ssm").put_parameter(Name=NAME, Value=CANARY_TOKEN, Type="SecureString")
    given = boto3.Session().client("ssm")
    logging.getLogger("botocore").setLevel(logging.NOTSET)
    caplog.set_level(logging.DEBUG)
    assert TokenSource(NAME).token() == CANARY_TOKEN
    logging.getLogger("botocore").setLevel(logging.NOTSET)
    assert TokenSource(NAME, client=given).token() == CANARY_TOKEN
    assert CANARY_TOKEN not in caplog.text


def test_child_process_creates_its_own_client(access_key: None, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = SsmReader(NAME)
    first = reader._ssm
    assert reader._ssm is first
    monkeypatch.setattr(os, "getpid", lambda: -1)
    assert reader._ssm is not first


def test_given_client_is_kept_in_a_child_process(client: SSMClient, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = SsmReader(NAME, client)
    monkeypatch.setattr(os, "getpid", lambda: -1)
    assert reader._ssm is client


# In another Region.

IN_IRELAND = f"{ARN}{NAME}".replace("us-east-1", "eu-west-1")


def test_arn_of_another_region_is_read_there(moto: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    boto3.client("ssm", region_name="eu-west-1", endpoint_url=moto.endpoint).put_parameter(
        Name=NAME, Value=CANARY_TOKEN, Type="SecureString"
    )
    monkeypatch.setattr(aws_client, "session", cache(get_session))
    assert SsmReader(IN_IRELAND)().token == CANARY_TOKEN
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    assert SsmReader(IN_IRELAND)().token == CANARY_TOKEN
    with pytest.raises(TokenUnavailable, match="there is no parameter"):
        SsmReader(IN_IRELAND.replace("eu-west-1", "eu-west-2"))()


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("arn:aws:ssm:eu-west-1:123:parameter/token", "is not the ARN of a parameter; write arn:aws:ssm:"),
        ("arn:aws:ssm:eu-west-1:123456789012:/token", "is not the ARN of a parameter"),
        ("arn:aws:sns:eu-west-1:123456789012:parameter/token", "is not the ARN of a parameter"),
        ("arn:aws:ssm::123456789012:parameter/token", "is not the ARN of a parameter"),
        ("arn:gcp:ssm:eu-west-1:123456789012:parameter/token", "is not the ARN of a parameter"),
        ("arn:aws:ssm:cn-north-1:123456789012:parameter/token", "the Region cn-north-1 is in aws-cn"),
        ("arn:aws:ssm:ireland:123456789012:parameter/token", "there is no Region ireland; correct the ARN"),
        (
            "arn:aws-cn:ssm:cn-north-1:123456789012:parameter/token",
            "is of the partition aws-cn, but this caller's Region is us-east-1; use credentials of aws-cn",
        ),
        (
            "arn:aws-us-gov:ssm:us-gov-west-1:123456789012:parameter/token",
            "is of the partition aws-us-gov, but this caller's Region is us-east-1",
        ),
    ],
)
def test_unusable_arn_is_refused_in_one_line_without_a_call(
    name: str, problem: str, stub: Stubber, client: SSMClient
) -> None:
    source = TokenSource(name, client=client)
    for _ in range(2):
        with pytest.raises(SettingsError) as caught:
            source.token()
        assert problem in str(caught.value)
        assert "\n" not in str(caught.value)


def test_client_of_another_region_than_the_arn_is_refused(stub: Stubber, client: SSMClient) -> None:
    with pytest.raises(SettingsError, match="pass a client of eu-west-1, or none"):
        SsmReader(IN_IRELAND, client)()


def test_client_of_another_partition_than_the_environment_reads(access_key: None) -> None:
    client = boto3.client("ssm", region_name="cn-north-1")
    arn = f"arn:aws-cn:ssm:cn-north-1:123456789012:parameter{NAME}"
    with Stubber(client) as stub:
        stub.add_client_error("get_parameters", "ParameterNotFound")
        with pytest.raises(TokenUnavailable, match="there is no parameter"):
            SsmReader(arn, client)()


def test_missing_profile_is_reported_for_an_arn(access_key: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aws_client, "session", cache(get_session))
    monkeypatch.setenv("AWS_PROFILE", "missing")
    with pytest.raises(SettingsError, match="AWS_PROFILE names a profile that does not exist") as caught:
        SsmReader(IN_IRELAND)()
    assert caught.value.__context__ is None


def test_broken_config_file_is_reported_for_an_arn(
    access_key: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "config").write_text("[broken")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setattr(aws_client, "session", cache(get_session))
    with pytest.raises(TokenUnavailable, match="correct the AWS config file"):
        SsmReader(IN_IRELAND)()


def test_region_that_is_not_enabled_is_named(stub: Stubber, client: SSMClient) -> None:
    refuse(stub, code="UnrecognizedClientException")
    with pytest.raises(TokenUnavailable, match="check that the Region us-east-1 is enabled"):
        SsmReader(f"{ARN}{NAME}", client)()

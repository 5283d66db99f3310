"""Credentials that the SDK cannot obtain: one error of ours, with the next step, and no word of a file."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore import exceptions, session
from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import BotoCoreError, ClientError

from aws_profiles import CANARY, EXPIRED_SSO, PROFILES, ROLE_OF_KEYS, Profile
from leak_check import foreign, reported
from rotator.adapters.runtime import aws_client
from rotator.adapters.runtime.aws_client import AwsError
from rotator.adapters.runtime.parameter_store import SsmParameterStore
from rotator.consumer import TokenSource
from rotator.devstack.deployment import Account
from rotator.errors import ParameterStoreError, Retry, RotatorError, TokenUnavailable
from scripted_server import Serve, answer


def use(profile: Profile, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in profile.write(home).items():
        monkeypatch.setenv(name, value)


def refusal(code: str) -> bytes:
    """Return an answer of STS."""
    error = f"<Error><Code>{code}</Code><Message>{CANARY}</Message></Error>"
    return f"<ErrorResponse>{error}</ErrorResponse>".encode()


@pytest.mark.parametrize("name", PROFILES)
def test_unusable_profile_is_one_error_with_the_next_step(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    use(PROFILES[name], tmp_path, monkeypatch)
    with pytest.raises(AwsError) as caught:
        aws_client.client("ssm")
    problem, step = str(caught.value).split("; ", 1)
    assert problem == f"AWS credentials could not be obtained: {PROFILES[name].code}"
    assert step.startswith(PROFILES[name].step)
    assert caught.value.retry is None
    assert foreign(caught.value, RotatorError) == []
    assert CANARY not in reported(caught.value) + caplog.text
    assert not [record for record in caplog.records if record.exc_info]


@pytest.mark.parametrize(
    ("status", "code", "problem", "retry"),
    [
        (403, "AccessDenied", "RoleNotAssumed; correct the role in the AWS profile (role_arn", None),
        (400, "ValidationError", "RoleNotAssumed; correct", None),
        (403, "ExpiredToken", "ExpiredToken; renew the AWS credentials, which AWS does not accept", None),
        (400, "RequestExpired", "RequestExpired; renew the AWS credentials, which AWS does not accept", None),
    ],
)
def test_refused_role_is_one_error_with_the_next_step(  # noqa: PLR0917 - fixtures and cases
    serve: Serve,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    code: str,
    problem: str,
    retry: Retry | None,
) -> None:
    use(ROLE_OF_KEYS, tmp_path, monkeypatch)
    monkeypatch.setenv("AWS_ENDPOINT_URL", serve(answer(status, refusal(code), Content_Type="text/xml")).url)
    with pytest.raises(AwsError) as caught:
        aws_client.client("ssm")
    assert str(caught.value).startswith(f"AWS credentials could not be obtained: {problem}")
    assert caught.value.retry is retry
    assert CANARY not in reported(caught.value)


def test_unavailable_sts_may_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(ROLE_OF_KEYS, tmp_path, monkeypatch)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(AwsError, match="Unreachable; try again; if the error persists, check the network"):
        aws_client.client("ssm")


def test_consumer_has_no_token_without_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(PROFILES["SSO not logged in"], tmp_path, monkeypatch)
    with pytest.raises(TokenUnavailable, match="SsoNotLoggedIn; run `aws sso login --profile operator`"):
        TokenSource("/healthwise/token").token()


def test_source_that_vanishes_later_fails_the_call(
    moto: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    held = {"Version": 1, "AccessKeyId": "test", "SecretAccessKey": "test", "SessionToken": "test"}
    soon = datetime.now(UTC) + timedelta(minutes=5)  # at fewer than ten, each call renews them
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\necho '{json.dumps({**held, 'Expiration': soon.isoformat()})}'\n")
    program.chmod(0o700)
    use(Profile(f"credential_process = {program}\n", "", ""), tmp_path, monkeypatch)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    store = SsmParameterStore(aws_client.client("ssm"))
    assert store.read(["/healthwise/token"]) == {}
    program.unlink()
    with pytest.raises(ParameterStoreError, match="CredentialSourceUnreadable; check that the file"):
        store.read(["/healthwise/token"])
    assert not [record for record in caplog.records if record.exc_info]


def raising(error: Exception) -> Any:
    def operation() -> None:
        raise error

    return operation


AT_A_CALL = {
    "RefreshWithMFAUnsupportedError": "NoTerminalForMfa",
    "UnauthorizedSSOTokenError": "SsoExpired",
    "LoginRefreshRequired": "LoginExpired",
}


@pytest.mark.parametrize("name", AT_A_CALL)
def test_login_that_expires_later_is_reported_by_the_call(name: str) -> None:
    with pytest.raises(AwsError) as caught:
        aws_client.call(raising(getattr(exceptions, name)()), read=str)
    assert (caught.value.code, caught.value.retry) == (AT_A_CALL[name], None)


@pytest.mark.parametrize(
    ("error", "problem", "retry"),
    [
        (
            exceptions.SSLError(endpoint_url="https://a.invalid", error=OSError(CANARY)),
            "BadCertificate; set AWS_CA_BUNDLE",
            None,
        ),
        (
            ClientError({"Error": {"Code": "RequestLimitExceeded"}}, "GetParameters"),
            "RequestLimitExceeded; try again; if the error persists, find out which other callers use up",
            Retry.BY_HAND,
        ),
        (
            ClientError({"Error": {"Code": "RequestExpired"}}, "GetParameters"),
            (
                "RequestExpired; renew the AWS credentials, which AWS does not accept, "
                "or check this machine's clock"
            ),
            None,
        ),
        (
            ClientError({"Error": {"Code": "AccessDenied", "Message": CANARY}}, "AssumeRole"),
            "RoleNotAssumed; correct the role",
            None,
        ),
        (
            ClientError({"Error": {"Code": "Throttling"}}, "AssumeRole"),
            "Throttling; try again",
            Retry.BY_HAND,
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_error_of_a_call_names_the_next_step(
    error: ClientError | BotoCoreError, problem: str, retry: Retry | None
) -> None:
    with pytest.raises(AwsError) as caught:
        aws_client.call(raising(error), read=str)
    assert str(caught.value).startswith(f"AWS could not be called: {problem}")
    assert caught.value.retry is retry
    assert CANARY not in reported(caught.value)


def test_default_profile_is_named_in_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    profile = Profile(EXPIRED_SSO.text, "", "", head="[default]\nregion = us-east-1\n")
    use(profile, tmp_path, monkeypatch)
    monkeypatch.delenv("AWS_PROFILE")
    with pytest.raises(AwsError, match="run `aws sso login --profile default`"):
        aws_client.client("ssm")


def test_usable_credentials_are_obtained_with_the_client(
    access_key: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = session.get_session()
    monkeypatch.setattr(aws_client, "session", lambda: made)
    aws_client.client("ssm")
    held = made.get_credentials()
    assert held is not None
    assert held.get_frozen_credentials() == ReadOnlyCredentials("test", "test", None)

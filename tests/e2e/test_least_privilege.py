"""Least privilege: under exactly the template's roles everything works, with a statement less it does not.

The embedded AWS checks actions and resources of the calls that the function makes itself. What AWS
does on its behalf, and conditions, are read in tests/infra/test_policies.py.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from botocore.session import get_session

import template
from deployed_stack import CLIENT_ID, SECRET_NAME, Deployed, less
from fake_ports import CANARY_SECRET
from rotator import handler
from rotator.adapters.runtime import aws_client
from rotator.devstack.deployment import Account
from rotator.renewal.results import RotationFailed

BY_AWS_ITSELF = {
    *("logs:CreateLogStream", "logs:PutLogEvents", "sqs:SendMessage"),
    *("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"),
}
"""What Lambda does under the role, so that no call of the function's shows it."""

DOCUMENT = {"secret_id": SECRET_NAME, "parameter_name": "/healthwise/a/token"}


@pytest.fixture(scope="module")
def one(deployed: Deployed) -> dict[str, str]:
    """A stack with one rotation, which has a token."""
    outputs = deployed.account.create_stack(deployed.one, stack="one")
    assert deployed.force(outputs)["rotated"] == 1
    return outputs


@pytest.fixture(scope="module")
def multiple(deployed: Deployed) -> dict[str, str]:
    """A stack with two rotations, which have tokens."""
    ssm = deployed.account.client("ssm")
    endpoint = f"{deployed.authorization_api}/oauth2/token"
    for name in "ab":
        document = {**DOCUMENT, "parameter_name": f"/healthwise/{name}/token", "token_endpoint": endpoint}
        ssm.put_parameter(Name=f"/rotator/rotations/{name}", Value=json.dumps(document), Type="String")
    outputs = deployed.account.create_stack(deployed.multiple, stack="many")
    assert deployed.force(outputs)["rotated"] == 2
    return outputs


@pytest.fixture(scope="module")
def signed(deployed: Deployed, certificate: Path) -> dict[str, str]:
    """A stack whose client authenticates by a key, and whose token endpoint has a private authority."""
    key = deployed.account.client("kms").create_key(KeyUsage="SIGN_VERIFY", KeySpec="RSA_2048")
    pem = certificate.read_text().partition("-----BEGIN PRIVATE KEY")[0]
    deployed.account.client("ssm").put_parameter(Name="/authorities", Value=pem, Type="String")
    given = {
        **deployed.one,
        "ParameterName": "/signed/token",
        "ClientAuthentication": "private_key_jwt",
        "SigningKeyArn": key["KeyMetadata"]["Arn"],
        "CaParameterName": "/authorities",
    }
    return deployed.account.create_stack(given, stack="signed")


@pytest.mark.parametrize(
    ("sid", "only", "reported"),
    [
        pytest.param(
            "ReadCredentials", "", "allow this caller secretsmanager:GetSecretValue", id="ReadCredentials"
        ),
        pytest.param(
            "KeepTokenStatusAndLease", "", "allow this caller ssm:GetParameters", id="KeepTokenStatusAndLease"
        ),
        pytest.param(
            "KeepTokenStatusAndLease",
            "GetParameters",
            "allow this caller ssm:GetParameters",
            id="GetParameters",
        ),
        pytest.param(
            "KeepTokenStatusAndLease", "PutParameter", "allow this caller ssm:PutParameter", id="PutParameter"
        ),
        pytest.param(
            "KeepTokenStatusAndLease", "/status", "allow this caller ssm:GetParameters", id="the status"
        ),
        pytest.param(
            "KeepTokenStatusAndLease", "/token", "allow this caller ssm:GetParameters", id="the token"
        ),
        pytest.param(
            "KeepTokenStatusAndLease", "/lease", "allow this caller ssm:GetParameters", id="the lease"
        ),
    ],
)
def test_function_without_a_permission_fails_and_names_it(
    sid: str, only: str, reported: str, deployed: Deployed, one: dict[str, str]
) -> None:
    with less(deployed.account, one, sid, only=only):
        assert reported in str(deployed.force(one))
    assert deployed.force(one)["rotated"] == 1


@pytest.mark.parametrize(
    ("sid", "reported"),
    [
        ("ReadCredentials", "allow this caller secretsmanager:GetSecretValue"),
        ("KeepTokenStatusAndLease", "allow this caller ssm:GetParameters"),
        ("ReadRotations", "allow this caller ssm:GetParametersByPath"),
    ],
)
def test_fleet_function_without_a_statement_fails_and_names_it(
    sid: str, reported: str, deployed: Deployed, multiple: dict[str, str]
) -> None:
    with less(deployed.account, multiple, sid):
        assert reported in str(deployed.force(multiple))
    assert deployed.force(multiple)["rotated"] == 2


@pytest.mark.parametrize(
    ("sid", "reported"),
    [
        (
            "ReadCertificates",
            "allow this caller ssm:GetParameters",
        ),  # first: a process keeps them for a while
        ("SignAssertions", "allow this caller kms:Sign"),
    ],
)
def test_client_with_a_key_and_certificates_needs_each_statement(
    sid: str, reported: str, deployed: Deployed, signed: dict[str, str]
) -> None:
    token = json.dumps({"access_token": "a-token", "token_type": "Bearer", "expires_in": 86400})
    deployed.api.misbehaviour.plan({"status": 200, "body": token})
    with less(deployed.account, signed, sid):
        assert reported in str(deployed.force(signed))
    assert deployed.force(signed)["rotated"] == 1


STATEMENTS = {
    each["Sid"]
    for given in (
        {"SecretArn": "arn:x", "SigningKeyArn": "arn:k", "CaParameterName": "/x"},
        {"RotationsPath": "/x", "Workers": "2"},
    )
    for each in template.Stack(given).statements("Role")
}


def test_every_role_statement_is_removed_by_a_test() -> None:
    """By one of these, or where AWS itself acts under the role by test_the_roles_may_do_exactly_this.

    Those of the workers are taken away in test_workers.
    """
    taken = {"ReadCredentials", "KeepTokenStatusAndLease", "ReadRotations", "LeaveRotationsAsTheyAre"}
    taken |= {"ReadNamedRotations", "EnqueueWork", "SignAssertions", "ReadCertificates"}
    assert STATEMENTS - taken == {"WriteLogs", "KeepFailedRuns"}


# No more is allowed than is used.


class Context:
    """Lambda's context, with a minute left."""

    aws_request_id = "request"

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Every call that a client of ours makes, named as IAM names its action."""
    made: set[str] = set()

    def keep(**event: Any) -> None:
        model = event["model"]
        made.add(f"{model.service_model.signing_name}:{model.name}")

    session = get_session()
    session.register("before-call", keep)
    monkeypatch.setattr(aws_client, "session", lambda: session)
    return made


def run_all_kinds(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], account: Account) -> None:
    """A first run, a fresh one, a forced one of all and of one rotation, and one that fails."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    handler._rotator.cache_clear()
    message = {"messageId": "m", "eventSource": "aws:sqs", "body": '{"rotations": ["a"]}'}
    if "ROTATOR_QUEUE_URL" in variables:
        handler.lambda_handler({}, Context())
        assert handler.lambda_handler({"Records": [message]}, Context()) == {"batchItemFailures": []}
    name = "default" if "ROTATOR_SECRET_ID" in variables else "a"
    for event in ({}, {}, {"force": True}, {"force": True, "rotations": [name]}):
        assert handler.lambda_handler(event, Context())["failed"] == 0
    account.client("secretsmanager").put_secret_value(SecretId=SECRET_NAME, SecretString="{}")
    with pytest.raises(RotationFailed):
        handler.lambda_handler({"force": True}, Context())


@pytest.mark.parametrize("kind", ["one", "many", "workers"])
def test_role_allows_only_the_calls_the_function_makes(
    kind: str, calls: set[str], moto: Account, deployed: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    moto.create_secret(SECRET_NAME, CLIENT_ID, CANARY_SECRET)
    endpoint = f"{deployed.authorization_api}/oauth2/token"
    if kind == "one":
        given = {"SecretArn": "arn:x"}
        settings = {
            "SECRET_ID": SECRET_NAME,
            "PARAMETER_NAME": "/healthwise/token",
            "TOKEN_ENDPOINT": endpoint,
        }
    else:
        given, settings = {"RotationsPath": "/x"}, {"ROTATIONS_PATH": "/rotator/rotations"}
        for name in "ab":  # several, because only then secrets are read together
            document = {"secret_id": SECRET_NAME, "parameter_name": f"/healthwise/{name}/token"}
            text = json.dumps({**document, "token_endpoint": endpoint})
            moto.client("ssm").put_parameter(Name=f"/rotator/rotations/{name}", Value=text, Type="String")
    if kind == "workers":
        given |= {"Workers": "2"}
        url = moto.client("sqs").create_queue(QueueName="work")["QueueUrl"]
        settings |= {"QUEUE_URL": url, "WORKERS": "2"}
    settings["WRITES_PER_SECOND"] = "1000"
    run_all_kinds(monkeypatch, {f"ROTATOR_{k}": v for k, v in settings.items()}, moto)
    allowed = set()
    for each in template.Stack(given).statements("Role"):
        assert each["Effect"] == "Allow" or each["Sid"] == "LeaveRotationsAsTheyAre"
        allowed |= {each["Action"]} if isinstance(each["Action"], str) else set(each["Action"])
    if kind == "workers":  # IAM knows no action for the batch
        calls.remove("sqs:SendMessageBatch")
    assert calls == allowed - BY_AWS_ITSELF


# What is not allowed is refused.


def is_refused(attempt: Callable[[], object]) -> bool:
    """Whether AWS refuses it for want of permission."""
    try:
        attempt()
    except ClientError as error:
        return "AccessDenied" in error.response["Error"]["Code"]
    return False


def test_consumer_policy_allows_reading_and_nothing_else(deployed: Deployed, one: dict[str, str]) -> None:
    consumer = deployed.account.assume_consumer_role(one["ConsumerPolicyArn"])
    names = [one["ParameterName"], one["StatusParameterName"]]
    ssm = consumer.client("ssm")
    assert len(ssm.get_parameters(Names=names, WithDecryption=True)["Parameters"]) == 2
    assert ssm.get_parameter(Name=names[0], WithDecryption=True)["Parameter"]["Type"] == "SecureString"
    ssm_of_all = deployed.account.client("ssm")
    ssm_of_all.put_parameter(Name="/healthwise/token-of-others", Value="x", Type="String")
    refused = {
        "another parameter": lambda: ssm.get_parameter(Name="/healthwise/token-of-others"),
        "write": lambda: ssm.put_parameter(Name=names[0], Value="x", Overwrite=True),
        "delete": lambda: ssm.delete_parameter(Name=names[0]),
        "history": lambda: ssm.get_parameter_history(Name=names[0]),
        "list": lambda: ssm.describe_parameters(),
        "by path": lambda: ssm.get_parameters_by_path(Path="/healthwise"),
        "secret": lambda: consumer.client("secretsmanager").get_secret_value(SecretId=SECRET_NAME),
        "function": lambda: consumer.client("lambda").invoke(FunctionName=one["FunctionName"]),
        "stack": lambda: consumer.client("cloudformation").delete_stack(StackName="one"),
        "roles": lambda: consumer.client("iam").list_roles(),
    }
    assert [what for what, attempt in refused.items() if not is_refused(attempt)] == []


def become_function(account: Account, outputs: dict[str, str]) -> Account:
    """Assume the function's role after adding this caller to its trust policy, which has only Lambda."""
    trust = template.Stack({"SecretArn": "arn:x"}).resources["Role"]["AssumeRolePolicyDocument"]
    trust["Statement"][0]["Principal"] = {"AWS": "000000000000"}
    role = outputs["FunctionRoleArn"].rpartition("/")[2]
    account.client("iam").update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(trust))
    return account.assume_role(outputs["FunctionRoleArn"])


def test_function_role_is_limited_to_its_secret_and_parameters(
    deployed: Deployed, one: dict[str, str]
) -> None:
    deployed.account.create_secret("healthwise/client-of-others", "x", "y")
    function = become_function(deployed.account, one)
    secrets, ssm = function.client("secretsmanager"), function.client("ssm")
    assert secrets.get_secret_value(SecretId=deployed.secret_arn)["Name"] == SECRET_NAME
    refused = (
        lambda: secrets.get_secret_value(SecretId="healthwise/client-of-others"),
        lambda: secrets.put_secret_value(SecretId=deployed.secret_arn, SecretString="{}"),
        lambda: ssm.put_parameter(Name="/healthwise/token/status/more", Value="x", Type="String"),
        lambda: ssm.put_parameter(Name="/healthwise", Value="x", Type="String"),
        lambda: ssm.get_parameters(Names=["/healthwise/token", "/other"]),
        lambda: ssm.delete_parameter(Name="/healthwise/token"),
        lambda: function.client("lambda").invoke(FunctionName=one["FunctionName"]),
    )
    assert [is_refused(attempt) for attempt in refused] == [True] * len(refused)


def test_boundary_that_denies_a_write_is_named_by_the_run(deployed: Deployed, one: dict[str, str]) -> None:
    iam, role = deployed.account.client("iam"), one["FunctionRoleArn"].rpartition("/")[2]
    needed = {"Effect": "Allow", "Action": ["secretsmanager:*", "ssm:Get*"], "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [needed]})
    boundary = iam.create_policy(PolicyName="boundary", PolicyDocument=document)["Policy"]["Arn"]
    iam.put_role_permissions_boundary(RoleName=role, PermissionsBoundary=boundary)
    try:
        assert "allow this caller ssm:PutParameter" in str(deployed.force(one))
    finally:
        iam.delete_role_permissions_boundary(RoleName=role)
    assert deployed.force(one)["rotated"] == 1


def test_overlapping_prefixes_do_not_expose_documents(deployed: Deployed) -> None:
    overlapping = {**deployed.multiple, "ParameterPrefix": "/rotator"}
    outputs = deployed.account.create_stack(overlapping, stack="overlapping")
    function = become_function(deployed.account, outputs).client("ssm")
    consumer = deployed.account.assume_consumer_role(outputs["ConsumerPolicyArn"], role="reader").client(
        "ssm"
    )
    document = "/rotator/rotations/z"
    deployed.account.client("ssm").put_parameter(Name=document, Value="{}", Type="String")
    assert function.put_parameter(Name="/rotator/token", Value="x", Type="String")["Version"] == 1
    assert consumer.get_parameter(Name="/rotator/token")["Parameter"]["Value"] == "x"
    assert is_refused(lambda: function.put_parameter(Name=document, Value="{}", Overwrite=True))
    assert is_refused(lambda: consumer.get_parameter(Name=document))

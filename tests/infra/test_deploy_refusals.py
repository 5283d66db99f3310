"""`make deploy` reports a missing or refused value in one line, before it creates anything."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from conftest import CHECKOUT
from fake_aws_cli import FakeAws, Refusal, refused
from infra import function_code
from operator_account import (
    ACCOUNT,
    ALL_GIVEN,
    CANARY,
    DESCRIPTION,
    NO_ROTATOR,
    OTHERS,
    REVIEWED,
    SECRET_ARN,
    denied,
    run_deploy,
    stack,
    the_line,
)

MISSING = {
    **{name: ({name: ""}, f"{name} is missing; for example: make deploy STACK=") for name in ALL_GIVEN},
    "all four": (dict.fromkeys(ALL_GIVEN, " "), "STACK and SECRET and PARAMETER and BUCKET are missing"),
    "SECRET for one": ({"SECRET": "", "SET": "RotationsPath="}, "SECRET is missing"),
    "aws": ({"PATH": "/nowhere"}, "the AWS CLI is not on PATH; install it"),
    "Region": ({"AWS_REGION": ""}, "no AWS Region is set; set AWS_REGION"),
}
WITHIN = "one of RotationsPath and ParameterPrefix contains the other: the function"
_KEY = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
HOME = "eu-central-1"
ELSEWHERE = {
    "AlarmTopicArn": f"arn:aws:sns:us-east-1:{ACCOUNT}:on-call",
    "ParameterKmsKeyArn": _KEY,
    "SecretKmsKeyArn": _KEY,
    "LogKmsKeyArn": _KEY,
    "SigningKeyArn": _KEY,
}
LONG_LIST = ",".join(f"host-{n:03}.example.com" for n in range(100))
LONG_OBJECT = json.dumps({"resource": "x" * 1500})
WRONG = {
    "a digit first": ({"STACK": "1rotator"}, "STACK is not a stack's name; use letters"),
    "an underscore": ({"STACK": "my_rotator"}, "STACK is not a stack's name"),
    "too long": ({"STACK": "r" * 129}, "STACK is not a stack's name"),
    "an unknown parameter": ({"SET": "Nothing=1"}, "the template has no parameter Nothing; see Parameters"),
    "the code's place": ({"SET": "LogLevel=INFO CodeKey=x"}, "CodeKey cannot be in SET; remove it"),
    "the secret": ({"SET": "SecretArn=x"}, "SecretArn cannot be in SET; set SECRET=... instead"),
    "a name twice": ({"SET": "LogLevel=INFO LogLevel=DEBUG"}, "LogLevel is in SET twice"),
    "no name": ({"SET": "INFO"}, "SET is not valid; write SET="),
    "words before": ({"SET": "log level LogLevel=INFO"}, "SET is not valid"),
    "a tag without a value": ({"TAGS": "team"}, 'TAGS is not valid; write TAGS="key=value'),
    "a tag without a key": ({"TAGS": "=red"}, "TAGS is not valid"),
    "an option as a tag": (
        {"TAGS": "a=b --template-file=/x"},
        "TAGS has a tag that cannot be passed to the AWS CLI",
    ),
    "an option as a tag's value": (
        {"TAGS": "a=--template-file"},
        "TAGS has a tag that cannot be passed to the AWS CLI",
    ),
    "a file as a tag": ({"TAGS": "file:///tags=1"}, "TAGS has a tag that cannot be passed to the AWS CLI"),
    "a tag AWS refuses": ({"TAGS": "team=red;blue"}, "TAGS has a tag that cannot be passed to the AWS CLI"),
    "an option as the bucket": ({"BUCKET": "--debug"}, "BUCKET must be the name of a bucket"),
    "an address as the bucket": ({"BUCKET": "s3://code"}, "BUCKET must be the name of a bucket"),
    "a parameter of AWS": ({"PARAMETER": "/aws/token"}, "PARAMETER must be a path such as /healthwise/token"),
    "no path": ({"PARAMETER": "/healthwise/token\n--x"}, "PARAMETER must be a path"),
    "no JSON": ({"SET": "TokenRequestParams={expiration: 1}"}, "TokenRequestParams is not a JSON object"),
    "a list": ({"SET": "TokenRequestParams=[1]"}, "TokenRequestParams is not a JSON object"),
    "no more parameters": ({"SET": "TokenRequestParams="}, "TokenRequestParams is not a JSON object"),
    "one path for both": ({"SET": "RotationsPath=/a ParameterPrefix=/a"}, f"{WITHIN} could overwrite"),
    "documents among tokens": ({"SET": "RotationsPath=/a/b ParameterPrefix=/a"}, f"{WITHIN} could overwrite"),
    "a function of another Region": (
        {"SET": f"ChangeFunctionArn=arn:aws:lambda:eu-west-1:{ACCOUNT}:function:reload"},
        f"ChangeFunctionArn is in eu-west-1 of account {ACCOUNT}, but the stack is in {HOME} of {ACCOUNT}",
    ),
    "a queue of another account": (
        {"SET": "ChangeQueueArn=arn:aws:sqs:eu-central-1:210987654321:changes"},
        "ChangeQueueArn is in eu-central-1 of account 210987654321, but the stack is in eu-central-1 of",
    ),
    "too long for a rule's name": (
        {"STACK": "r" * 51, "SET": "RedeployService=web/api"},
        "STACK may have at most 50 characters in a stack with change events; use a shorter name",
    ),
    **{
        f"{name} of another Region": (
            {"SET": f"{name}={arn}"},
            f"{name} is in us-east-1, but the stack is in eu-central-1; set it to an ARN in eu-central-1",
        )
        for name, arn in ELSEWHERE.items()
    },
    **{
        f"{name} of another partition": (
            {"SET": f"{name}={arn.replace('arn:aws:', 'arn:aws-cn:').replace('us-east-1', 'eu-central-1')}"},
            f"{name} is in aws-cn, but the stack is in aws; set it to an ARN in aws, or deploy the stack in",
        )
        for name, arn in ELSEWHERE.items()
    },
    "the stack's Region as a replica": (
        {"SET": "ReplicaRegions=eu-west-1,eu-central-1"},
        "ReplicaRegions names eu-central-1, the stack's own Region; remove eu-central-1 from ReplicaRegions",
    ),
    "a replica twice": (
        {"SET": "ReplicaRegions=eu-west-1,eu-west-1"},
        "ReplicaRegions names eu-west-1 twice; remove one of the two",
    ),
    "a replica in another partition": (
        {"SET": "ReplicaRegions=cn-north-1"},
        "ReplicaRegions names cn-north-1, which is in another AWS partition than eu-central-1; remove cn",
    ),
    "a replica in no Region": (
        {"SET": "ReplicaRegions=zz-west-1"},
        "ReplicaRegions names zz-west-1, which is not a Region; correct the name",
    ),
    "a misspelled replica": (
        {"SET": "ReplicaRegions=us-east-1,eu-wst-1"},
        "ReplicaRegions names eu-wst-1, which is not a Region; correct the name, or upgrade botocore",
    ),
    "replicas with a space": (
        {"SET": "ReplicaRegions=eu-west-1, us-east-1"},
        "ReplicaRegions must be empty or at most five Regions separated by commas without spaces",
    ),
    "six replicas": (
        {"SET": "ReplicaRegions=eu-west-1,eu-west-2,us-east-1,us-east-2,us-west-1,us-west-2"},
        "ReplicaRegions must be empty or at most five Regions separated by commas without spaces",
    ),
    "replicas and a key of one Region": (
        {"SET": f"ReplicaRegions=eu-west-1 ParameterKmsKeyArn={_KEY.replace('us-east-1', 'eu-central-1')}"},
        "ParameterKmsKeyArn is a single-Region key, which cannot encrypt the tokens in ReplicaRegions; set",
    ),
    "too many hosts": (
        {"SET": f"TokenRequestParams={LONG_OBJECT} AllowedHosts={LONG_LIST} Scope=a"},
        "the function's environment variables have 4,",
    ),
    "tokens among documents": ({"SET": "RotationsPath=/a ParameterPrefix=/a/b"}, f"{WITHIN} would read"),
}
NO_SECRETS = {
    "a file": "file://credentials.json",
    "a file's bytes": "fileb://credentials.json",
    "an address": "http://127.0.0.1/credentials",
    "an option": "--endpoint-url",
    "the secret itself": '{"client_id": "a", "client_secret": "b"}',
    "too long": "s" * 513,
    "an ARN of another service": f"arn:aws:ssm:eu-central-1:{ACCOUNT}:parameter/client",
    "an ARN of nothing": f"arn:aws:secretsmanager:eu-central-1:{ACCOUNT}:secret:",
}


@pytest.mark.usefixtures("packaged")
@pytest.mark.parametrize(
    ("name", "arn"),
    [
        pytest.param("AlarmTopicArn", "arn:aws:sns:eu-central-1:210987654321:on-call", id="a topic"),
        pytest.param("ParameterKmsKeyArn", _KEY.replace("us-east-1", "eu-central-1"), id="a key"),
        pytest.param(
            "ReplicaRegions=eu-west-1 ParameterKmsKeyArn",
            f"arn:aws:kms:eu-central-1:{ACCOUNT}:key/mrk-1234abcd",
            id="a multi-Region key with replicas",
        ),
    ],
)
def test_topic_and_key_of_another_account_are_accepted(environ: dict[str, str], name: str, arn: str) -> None:
    assert run_deploy(environ | {"SET": f"{name}={arn.replace(ACCOUNT, '210987654321')}"}) == 0


def test_too_many_variables_are_refused_with_the_longest_parameters(
    environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    settings = f"TokenRequestParams={LONG_OBJECT} AllowedHosts={LONG_LIST} Scope=a"
    assert run_deploy(environ | {"SET": settings}) == 2
    line = the_line(capsys)
    lengths = f"AllowedHosts ({len(LONG_LIST):,}), TokenRequestParams ({len(LONG_OBJECT):,}), SecretArn ("
    assert f"Lambda allows 4,096; the longest parameters are {lengths}" in line
    assert LONG_LIST not in line


@pytest.mark.parametrize("secret", NO_SECRETS.values(), ids=NO_SECRETS)
def test_invalid_secret_is_not_passed_to_the_cli_or_printed(
    aws: FakeAws, environ: dict[str, str], capsys: pytest.CaptureFixture[str], secret: str
) -> None:
    assert run_deploy(environ | {"SECRET": secret}) == 2
    line = the_line(capsys)
    assert line.startswith("deploy: SECRET is not the name or the ARN of a secret; ")
    assert secret not in line
    assert aws.calls == []


@pytest.mark.usefixtures("packaged")
@pytest.mark.parametrize("secret", ["a", "health/wise_+=.@-", SECRET_ARN, SECRET_ARN.rpartition("-")[0]])
def test_every_valid_secret_name_and_arn_is_accepted(
    aws: FakeAws, environ: dict[str, str], secret: str
) -> None:
    assert run_deploy(environ | {"SECRET": secret}) == 0
    assert aws.call("secretsmanager describe-secret") == ["--secret-id", secret, "--output", "json"]


@pytest.mark.parametrize(
    ("changed", "reported"), [*MISSING.values(), *WRONG.values()], ids=[*MISSING, *WRONG]
)
def test_invalid_setting_prints_one_line_and_creates_nothing(
    aws: FakeAws,
    environ: dict[str, str],
    capsys: pytest.CaptureFixture[str],
    changed: dict[str, str],
    reported: str,
) -> None:
    aws.answers("configure get", Refusal(""))
    assert run_deploy(environ | changed) == 2
    assert the_line(capsys).startswith(f"deploy: {reported}")
    assert aws.changes == []


VERSION_2 = Refusal(
    "\naws: [ERROR]: An error occurred (ExpiredToken) when calling the GetCallerIdentity operation: " + CANARY
)
IDENTITY, BUCKET = "sts get-caller-identity", "s3api head-bucket"
DESCRIBED, STACKS = "secretsmanager describe-secret", "cloudformation describe-stacks"
REFUSED = {
    "no credentials": (
        (IDENTITY, Refusal("Unable to locate credentials. " + CANARY)),
        "AWS did not accept the credentials: NoCredentials; log in again",
    ),
    "an expired session": ((IDENTITY, VERSION_2), "the credentials: ExpiredToken; log in again"),
    "unknown keys": (
        (IDENTITY, refused("InvalidClientTokenId", "GetCallerIdentity", CANARY)),
        "InvalidClientTokenId; log in again",
    ),
    "a wrong clock": (
        (IDENTITY, refused("RequestExpired", "GetCallerIdentity", CANARY)),
        "RequestExpired; check this machine's clock, or log in again",
    ),
    "too many requests": (
        (STACKS, refused("RequestLimitExceeded", "DescribeStacks", CANARY)),
        (
            "RequestLimitExceeded; try again; if the error persists, find out which other callers "
            "use up the account's request rate"
        ),
    ),
    "no single sign-on": (
        (IDENTITY, Refusal("Error loading SSO Token: " + CANARY)),
        "SsoNotLoggedIn; run `aws sso login --profile default`",
    ),
    "an expired single sign-on": (
        (IDENTITY, Refusal("Error when retrieving token from sso: Token has expired and refresh failed")),
        "SsoExpired; run `aws sso login --profile default`",
    ),
    "an expired login": (
        (IDENTITY, Refusal("Your session has expired. Please reauthenticate using 'aws login'.")),
        "LoginExpired; run `aws login --profile default`",
    ),
    "MFA without a terminal": (
        (IDENTITY, Refusal(f"Warning: Password input may be echoed.\nEnter MFA code for {CANARY}: \n")),
        "NoTerminalForMfa; run the command in a terminal",
    ),
    "a denied role": (
        (IDENTITY, denied("AssumeRole")),
        "RoleNotAssumed; correct the role in the AWS profile",
    ),
    "a missing web identity file": (
        (IDENTITY, Refusal(f"[Errno 2] No such file or directory: '{CANARY}'")),
        "CredentialSourceUnreadable; check that the file in web_identity_token_file",
    ),
    "a program that fails": (
        (IDENTITY, Refusal("Error when retrieving credentials from custom-process: " + CANARY)),
        "CredentialSourceFailed; run `aws sts get-caller-identity` for details, and check credential_process",
    ),
    "a missing source profile": (
        (IDENTITY, Refusal(f'The source_profile "{CANARY}" referenced in the profile "a" does not exist.')),
        "ProfileInvalid; correct the AWS config file",
    ),
    "a proxy's certificate": (
        (IDENTITY, Refusal("SSL validation failed for " + CANARY)),
        "BadCertificate; set AWS_CA_BUNDLE",
    ),
    "no connection": (
        (IDENTITY, Refusal("Could not connect to the endpoint URL: " + CANARY)),
        "NoConnection; check the Region",
    ),
    "something new": (
        (IDENTITY, Refusal("Segmentation fault: " + CANARY)),
        "Unknown; run the same operation with the AWS CLI",
    ),
    "no bucket": (
        (BUCKET, refused("404", "HeadBucket", CANARY)),
        "there is no bucket code; create it: aws s3 mb",
    ),
    "another's bucket": (
        (BUCKET, refused("403", "HeadBucket", CANARY)),
        "the bucket code belongs to another account, or access to it is denied; set BUCKET",
    ),
    "a bucket elsewhere": ((BUCKET, {"BucketRegion": "us-east-1"}), "the bucket code is in us-east-1, but"),
    "no secret": (
        (DESCRIBED, refused("ResourceNotFoundException", "DescribeSecret", CANARY)),
        "the secret that SECRET names does not exist in eu-central-1; create it",
    ),
    "a secret denied": (
        (DESCRIBED, denied("DescribeSecret")),
        "describing the secret that SECRET names is denied; set SECRET to its full ARN",
    ),
    "a secret deleted": (
        (DESCRIBED, {"ARN": SECRET_ARN, "DeletedDate": "2026-01-01T00:00:00Z"}),
        "the secret that SECRET names is scheduled for deletion; restore it",
    ),
    "stacks denied": (
        (STACKS, denied("DescribeStacks")),
        "the stack rotator could not be read: AccessDenied; allow this caller cloudformation:DescribeStacks",
    ),
    "a stack at work": (
        (STACKS, stack("UPDATE_IN_PROGRESS")),
        "the stack rotator is in the state UPDATE_IN_PROGRESS; wait",
    ),
    "a stack stuck": (
        (STACKS, stack("UPDATE_ROLLBACK_FAILED")),
        "the stack rotator is in the state UPDATE_ROLLBACK_FAILED; finish its rollback",
    ),
    "a stack not deleted": (
        (STACKS, stack("DELETE_FAILED", **DESCRIPTION)),
        "the stack rotator is in the state DELETE_FAILED; delete it: make undeploy",
    ),
    "a change set": ((STACKS, stack("REVIEW_IN_PROGRESS")), REVIEWED),
    "a change set of ours": ((STACKS, stack("REVIEW_IN_PROGRESS", **DESCRIPTION)), REVIEWED),
    **{name: ((STACKS, answer), NO_ROTATOR) for name, answer in OTHERS.items()},
    "an option as a tag of the stack": (
        (STACKS, stack(Tags=[{"Key": "--template-file", "Value": "/x"}])),
        "TAGS has a tag that cannot be passed to the AWS CLI; use letters",
    ),
    "tokens among the stack's documents": (
        (STACKS, stack(Parameters=[{"ParameterKey": "RotationsPath", "ParameterValue": "/healthwise"}])),
        f"{WITHIN} would read",
    ),
}


@pytest.mark.parametrize(("refusal", "reported"), REFUSED.values(), ids=REFUSED)
def test_aws_refusal_prints_one_line_and_creates_nothing(
    aws: FakeAws,
    environ: dict[str, str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    refusal: tuple[str, Any],
    reported: str,
) -> None:
    aws.answers(*refusal)
    monkeypatch.setattr(function_code, "built", lambda: pytest.fail("nothing is built"))
    assert run_deploy(environ | {"SET": "ParameterPrefix=/healthwise/tokens"}) == 2
    line = the_line(capsys)
    assert line.startswith("deploy: ")
    assert reported in line
    assert aws.changes == []


def test_unknown_profile_is_reported(
    aws: FakeAws, environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    aws.answers("configure get", Refusal("The config profile (canary) could not be found"))
    assert run_deploy(environ | {"AWS_REGION": ""}) == 2
    assert the_line(capsys).startswith(
        "deploy: the AWS configuration cannot be used: ProfileNotFound; set AWS_PROFILE"
    )


def test_script_without_settings_prints_one_line_and_exits_2(aws: FakeAws) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "infra.deploy"],
        env={"PATH": str(aws.folder), "STACK": "rotator"},
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("deploy: SECRET and PARAMETER and BUCKET are missing; ")
    assert done.stderr.count("\n") == 1

"""The operator's commands: what is missing is told in one line, and nothing is created before it is there."""

from __future__ import annotations

import base64
import hashlib
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from conftest import CHECKOUT
from fake_aws import FakeAws, Refusal, refused
from infra import command, deploy, function_code, logs, stacks, undeploy

CANARY = "canary-in-the-words-of-aws"
ACCOUNT = "123456789012"
SECRET_ARN = f"arn:aws:secretsmanager:eu-central-1:{ACCOUNT}:secret:healthwise/client-AbCdEf"
STACK_ID = f"arn:aws:cloudformation:eu-central-1:{ACCOUNT}:stack/rotator/1"
ALL_GIVEN = {
    "STACK": "rotator",
    "SECRET": "healthwise/client",
    "PARAMETER": "/healthwise/token",
    "BUCKET": "code",
}
NO_STACK = refused("ValidationError", "DescribeStacks", "Stack with id rotator does not exist")


ZIP = b"the zip that was built"
CODE = base64.b64encode(hashlib.sha256(ZIP).digest()).decode()
DESCRIPTION: dict[str, Any] = {"Description": "Rotator: keeps an OAuth 2.0 access token good.", "Outputs": []}
"""All that a stack of ours has before it was created."""


def stack(status: str = "CREATE_COMPLETE", **more: Any) -> dict[str, Any]:
    outputs = {"FunctionName": "rotator-Function-1", "LogGroupName": "/rotator/rotator"} | more.pop(
        "outputs", {}
    )
    return {
        "StackId": STACK_ID,
        "StackName": "rotator",
        "StackStatus": status,
        "Outputs": [{"OutputKey": k, "OutputValue": v} for k, v in outputs.items()],
        **more,
    }


@pytest.fixture
def aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeAws:
    """An account in which nothing is missing."""
    monkeypatch.setattr(stacks, "POLL_SECONDS", 0)
    fake = FakeAws.install(tmp_path)
    fake.answers("sts get-caller-identity", ACCOUNT)
    fake.answers("s3api head-bucket", {"BucketRegion": "eu-central-1"})
    fake.answers("secretsmanager describe-secret", {"ARN": SECRET_ARN})
    fake.answers("cloudformation describe-stacks", NO_STACK, stack())
    fake.answers("cloudformation deploy", "Successfully created/updated stack - rotator")
    fake.answers("cloudformation delete-stack", None)
    fake.answers("lambda get-function-configuration", CODE)
    return fake


@pytest.fixture
def environ(aws: FakeAws) -> dict[str, str]:
    return {"PATH": str(aws.folder), "AWS_REGION": "eu-central-1", **ALL_GIVEN}


@pytest.fixture
def packaged(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The zip is in the bucket: what comes after is the point."""
    zip_file = tmp_path / "rotator.zip"
    zip_file.write_bytes(ZIP)
    monkeypatch.setattr(function_code, "build", lambda: zip_file)
    monkeypatch.setattr(function_code, "package", lambda *_: Path(".build/packaged.yaml"))


def run_deploy(environ: Mapping[str, str]) -> int:
    return command.run("deploy", lambda: deploy.deploy(environ))


def the_line(capsys: pytest.CaptureFixture[str]) -> str:
    """The one line on standard error."""
    (line,) = capsys.readouterr().err.splitlines()
    assert CANARY not in line
    return line


MISSING = {
    **{name: ({name: ""}, f"{name} is missing; for example: make deploy STACK=") for name in ALL_GIVEN},
    "all four": (dict.fromkeys(ALL_GIVEN, " "), "STACK and SECRET and PARAMETER and BUCKET are missing"),
    "SECRET for one": ({"SECRET": "", "SET": "RotationsPath="}, "SECRET is missing"),
    "aws": ({"PATH": "/nowhere"}, "the AWS CLI is not on PATH; install it"),
    "Region": ({"AWS_REGION": ""}, "no AWS Region is set; set AWS_REGION"),
}
WITHIN = "RotationsPath and ParameterPrefix lie one within the other: the function"
WRONG = {
    "a digit first": ({"STACK": "1rotator"}, "STACK is not a stack's name; take letters"),
    "an underscore": ({"STACK": "my_rotator"}, "STACK is not a stack's name"),
    "too long": ({"STACK": "r" * 129}, "STACK is not a stack's name"),
    "an unknown parameter": ({"SET": "Nothing=1"}, "the template has no parameter Nothing; see Parameters"),
    "the code's place": ({"SET": "LogLevel=INFO CodeKey=x"}, "CodeKey cannot be in SET; leave it out"),
    "the secret": ({"SET": "SecretArn=x"}, "SecretArn cannot be in SET; give it as SECRET=..."),
    "a name twice": ({"SET": "LogLevel=INFO LogLevel=DEBUG"}, "LogLevel is in SET twice"),
    "no name": ({"SET": "INFO"}, "SET cannot be read; write SET="),
    "words before": ({"SET": "log level LogLevel=INFO"}, "SET cannot be read"),
    "a tag without a value": ({"TAGS": "team"}, 'TAGS cannot be read; write TAGS="key=value'),
    "a tag without a key": ({"TAGS": "=red"}, "TAGS cannot be read"),
    "an option as a tag": ({"TAGS": "a=b --template-file=/x"}, "a tag is not one that can be handed over"),
    "an option as a tag's value": ({"TAGS": "a=--template-file"}, "a tag is not one that can be handed over"),
    "a file as a tag": ({"TAGS": "file:///tmp/tags=1"}, "a tag is not one that can be handed over"),
    "a tag AWS refuses": ({"TAGS": "team=red;blue"}, "a tag is not one that can be handed over"),
    "an option as the bucket": ({"BUCKET": "--debug"}, "BUCKET must be the name of a bucket"),
    "an address as the bucket": ({"BUCKET": "s3://code"}, "BUCKET must be the name of a bucket"),
    "a parameter of AWS": ({"PARAMETER": "/aws/token"}, "PARAMETER must be a path such as /healthwise/token"),
    "no path": ({"PARAMETER": "/healthwise/token\n--x"}, "PARAMETER must be a path"),
    "no JSON": ({"SET": "TokenRequestParams={expiration: 1}"}, "TokenRequestParams is not a JSON object"),
    "a list": ({"SET": "TokenRequestParams=[1]"}, "TokenRequestParams is not a JSON object"),
    "no more parameters": ({"SET": "TokenRequestParams="}, "TokenRequestParams is not a JSON object"),
    "one path for both": ({"SET": "RotationsPath=/a ParameterPrefix=/a"}, f"{WITHIN} could rewrite"),
    "documents among tokens": ({"SET": "RotationsPath=/a/b ParameterPrefix=/a"}, f"{WITHIN} could rewrite"),
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


@pytest.mark.parametrize("secret", NO_SECRETS.values(), ids=NO_SECRETS)
def test_what_names_no_secret_is_neither_handed_to_the_cli_nor_repeated(
    aws: FakeAws, environ: dict[str, str], capsys: pytest.CaptureFixture[str], secret: str
) -> None:
    assert run_deploy(environ | {"SECRET": secret}) == 2
    line = the_line(capsys)
    assert line.startswith("deploy: SECRET is neither a secret's name nor its ARN; ")
    assert secret not in line
    assert aws.calls == []


@pytest.mark.usefixtures("packaged")
@pytest.mark.parametrize("secret", ["a", "health/wise_+=.@-", SECRET_ARN, SECRET_ARN.rpartition("-")[0]])
def test_every_name_and_arn_that_a_secret_may_have_is_taken(
    aws: FakeAws, environ: dict[str, str], secret: str
) -> None:
    assert run_deploy(environ | {"SECRET": secret}) == 0
    assert aws.call("secretsmanager describe-secret") == ["--secret-id", secret, "--output", "json"]


@pytest.mark.parametrize(("changed", "told"), [*MISSING.values(), *WRONG.values()], ids=[*MISSING, *WRONG])
def test_what_is_missing_or_wrong_is_told_in_one_line_and_nothing_is_created(
    aws: FakeAws,
    environ: dict[str, str],
    capsys: pytest.CaptureFixture[str],
    changed: dict[str, str],
    told: str,
) -> None:
    aws.answers("configure get", Refusal(""))
    assert run_deploy(environ | changed) == 2
    assert the_line(capsys).startswith(f"deploy: {told}")
    assert aws.changes == []


def denied(operation: str) -> Refusal:
    return refused("AccessDenied", operation, CANARY)


VERSION_2 = Refusal(
    "\naws: [ERROR]: An error occurred (ExpiredToken) when calling the GetCallerIdentity operation: " + CANARY
)
IDENTITY, BUCKET = "sts get-caller-identity", "s3api head-bucket"
DESCRIBED, STACKS = "secretsmanager describe-secret", "cloudformation describe-stacks"
REVIEWED = (
    "the stack rotator has a change set that was not executed; execute or delete it, or give another STACK"
)
NO_ROTATOR = "the stack rotator is not a rotator; give another STACK"
OTHERS = {
    "another's stack": stack(Outputs=[{"OutputKey": "FunctionName", "OutputValue": "their-function"}]),
    "another's stack at work": stack("UPDATE_IN_PROGRESS", Outputs=[]),
    "another's log": stack(outputs={"LogGroupName": "/rotator/other"}),
    "a log alone": stack(Outputs=[{"OutputKey": "LogGroupName", "OutputValue": "/rotator/rotator"}]),
    "our description alone": stack(**DESCRIPTION),
    "another's failed creation": stack("ROLLBACK_COMPLETE", Description="Payroll"),
    "a failed creation without a description": stack("ROLLBACK_FAILED"),
    "another's failed deletion": stack("DELETE_FAILED", Description="Payroll. Rotator: no"),
}
"""Stacks of the same name that are not ours."""
REFUSED = {
    "no credentials": (
        (IDENTITY, Refusal("Unable to locate credentials. " + CANARY)),
        "AWS does not know who you are: NoCredentials; log in anew",
    ),
    "an expired session": ((IDENTITY, VERSION_2), "who you are: ExpiredToken; log in anew"),
    "an expired single sign-on": (
        (IDENTITY, Refusal("Error loading SSO Token: " + CANARY)),
        "SsoExpired; log in anew",
    ),
    "no connection": (
        (IDENTITY, Refusal("Could not connect to the endpoint URL: " + CANARY)),
        "NoConnection; check the Region",
    ),
    "something new": (
        (IDENTITY, Refusal("Segmentation fault: " + CANARY)),
        "Unknown; run it with the AWS CLI",
    ),
    "no bucket": (
        (BUCKET, refused("404", "HeadBucket", CANARY)),
        "there is no bucket code; create it: aws s3 mb",
    ),
    "another's bucket": (
        (BUCKET, refused("403", "HeadBucket", CANARY)),
        "the bucket code belongs to another account or may not be used; give",
    ),
    "a bucket elsewhere": ((BUCKET, {"BucketRegion": "us-east-1"}), "the bucket code is in us-east-1, and"),
    "no secret": (
        (DESCRIBED, refused("ResourceNotFoundException", "DescribeSecret", CANARY)),
        "there is no such secret in eu-central-1; create it",
    ),
    "a secret denied": (
        (DESCRIBED, denied("DescribeSecret")),
        "the secret may not be described; give its full ARN",
    ),
    "a secret deleted": (
        (DESCRIBED, {"ARN": SECRET_ARN, "DeletedDate": "2026-01-01T00:00:00Z"}),
        "the secret is to be deleted; restore it",
    ),
    "stacks denied": (
        (STACKS, denied("DescribeStacks")),
        "the stack rotator could not be looked at: AccessDenied; let this identity do DescribeStacks",
    ),
    "a stack at work": (
        (STACKS, stack("UPDATE_IN_PROGRESS")),
        "the stack rotator is UPDATE_IN_PROGRESS; wait",
    ),
    "a stack stuck": (
        (STACKS, stack("UPDATE_ROLLBACK_FAILED")),
        "the stack rotator is UPDATE_ROLLBACK_FAILED; mend it",
    ),
    "a stack not deleted": (
        (STACKS, stack("DELETE_FAILED", **DESCRIPTION)),
        "the stack rotator is DELETE_FAILED; delete it: make undeploy",
    ),
    "a change set": ((STACKS, stack("REVIEW_IN_PROGRESS")), REVIEWED),
    "a change set of ours": ((STACKS, stack("REVIEW_IN_PROGRESS", **DESCRIPTION)), REVIEWED),
    **{name: ((STACKS, answer), NO_ROTATOR) for name, answer in OTHERS.items()},
    "an option as a tag of the stack": (
        (STACKS, stack(Tags=[{"Key": "--template-file", "Value": "/x"}])),
        "a tag is not one that can be handed over; give TAGS",
    ),
    "tokens among the stack's documents": (
        (STACKS, stack(Parameters=[{"ParameterKey": "RotationsPath", "ParameterValue": "/healthwise"}])),
        f"{WITHIN} would read",
    ),
}


@pytest.mark.parametrize(("refusal", "told"), REFUSED.values(), ids=REFUSED)
def test_what_aws_refuses_is_told_by_its_code_in_one_line_and_nothing_is_created(
    aws: FakeAws,
    environ: dict[str, str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    refusal: tuple[str, Any],
    told: str,
) -> None:
    aws.answers(*refusal)
    monkeypatch.setattr(function_code, "build", lambda: pytest.fail("nothing is built"))
    assert run_deploy(environ | {"SET": "ParameterPrefix=/healthwise/tokens"}) == 2
    line = the_line(capsys)
    assert line.startswith("deploy: ")
    assert told in line
    assert aws.changes == []


def test_a_profile_that_does_not_exist_is_told(
    aws: FakeAws, environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    aws.answers("configure get", Refusal("The config profile (canary) could not be found"))
    assert run_deploy(environ | {"AWS_REGION": ""}) == 2
    assert the_line(capsys).startswith(
        "deploy: the AWS configuration cannot be used: ProfileNotFound; set AWS_PROFILE"
    )


def test_the_script_as_make_runs_it_says_its_one_line_and_exits_with_2(aws: FakeAws) -> None:
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


@pytest.mark.usefixtures("packaged")
def test_every_parameter_is_handed_over_as_it_was_given(aws: FakeAws, environ: dict[str, str]) -> None:
    more = {
        "SET": 'TokenRequestParams={"expiration": "86400"}  Scope=read write LogLevel=',
        "TAGS": "team=red a=b=c",
    }
    assert run_deploy(environ | more) == 0
    arguments = aws.call("cloudformation deploy")
    assert arguments[arguments.index("--parameter-overrides") + 1 : arguments.index("--tags")] == [
        'TokenRequestParams={"expiration": "86400"}',
        "Scope=read write",
        "LogLevel=",
        f"SecretArn={SECRET_ARN}",
        "ParameterName=/healthwise/token",
    ]
    assert arguments[arguments.index("--tags") + 1 :] == ["team=red", "a=b=c"]


@pytest.mark.usefixtures("packaged")
def test_the_region_may_come_from_the_configuration(
    aws: FakeAws, environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    aws.answers("configure get", "eu-central-1")
    assert run_deploy(environ | {"AWS_REGION": ""}) == 0
    assert "deploying rotator to eu-central-1 of account 123456789012" in capsys.readouterr().out


@pytest.mark.usefixtures("packaged")
def test_either_version_of_the_cli_gets_the_region_and_asks_nobody(
    aws: FakeAws, environ: dict[str, str]
) -> None:
    assert run_deploy(environ) == 0
    for seen in aws.environments:
        assert seen["AWS_REGION"] == seen["AWS_DEFAULT_REGION"] == "eu-central-1"
        assert (seen["AWS_PAGER"], seen["AWS_CLI_AUTO_PROMPT"]) == ("", "off")


@pytest.mark.usefixtures("packaged")
def test_a_full_arn_is_taken_where_describing_secrets_is_denied(
    aws: FakeAws, environ: dict[str, str]
) -> None:
    aws.answers("secretsmanager describe-secret", denied("DescribeSecret"))
    assert run_deploy(environ | {"SECRET": SECRET_ARN}) == 0
    assert f"SecretArn={SECRET_ARN}" in aws.call("cloudformation deploy")
    assert run_deploy(environ | {"SECRET": SECRET_ARN.rpartition("-")[0]}) == 2


@pytest.mark.usefixtures("packaged")
def test_many_rotations_need_neither_secret_nor_parameter(
    aws: FakeAws,
    environ: dict[str, str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    many = {"SECRET": "", "PARAMETER": "", "SET": "RotationsPath=/rotations ParameterPrefix=/rot"}
    assert run_deploy(environ | many | {"BUCKET": ""}) == 2
    assert "BUCKET is missing" in the_line(capsys)
    assert run_deploy(environ | many) == 0
    arguments = aws.call("cloudformation deploy")
    assert "RotationsPath=/rotations" in arguments
    assert "SecretArn=" in arguments, "not the one of before"
    assert not any(argument.startswith("ParameterName") for argument in arguments)


@pytest.mark.usefixtures("packaged")
@pytest.mark.parametrize(("topic", "is_told"), [({}, True), ({"AlarmTopicArn": "arn:aws:sns:x"}, False)])
def test_it_says_so_where_no_alarm_calls_anybody(
    topic: dict[str, str],
    is_told: bool,
    aws: FakeAws,
    environ: dict[str, str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    aws.answers("cloudformation describe-stacks", stack(outputs=topic))
    assert run_deploy(environ) == 0
    assert ("no alarm calls anybody" in capsys.readouterr().out) is is_told


@pytest.mark.usefixtures("packaged")
def test_success_prints_the_outputs_and_what_to_do_next(
    environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_deploy(environ) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert printed.out.splitlines()[1:] == [
        "deployed",
        "  FunctionName  rotator-Function-1",
        "  LogGroupName  /rotator/rotator",
        'no alarm calls anybody: deploy again with SET="AlarmEmail=on-call@example.com"',
        "next:",
        "  make rotate FUNCTION=rotator-Function-1   # the first token, now",
        "  make logs STACK=rotator",
    ]


@pytest.mark.usefixtures("packaged")
def test_an_upgrade_without_tags_keeps_those_of_the_stack(aws: FakeAws, environ: dict[str, str]) -> None:
    aws.answers("cloudformation describe-stacks", stack(Tags=[{"Key": "team", "Value": "red"}]))
    assert run_deploy(environ) == 0
    assert aws.call("cloudformation deploy")[-2:] == ["--tags", "team=red"]


EVENTS = [  # the newest first
    ["rotator", "ROLLBACK_IN_PROGRESS", "The following resource(s) failed to create", STACK_ID],
    ["Schedule", "CREATE_FAILED", "Resource creation cancelled", ""],
    ["LogGroup", "CREATE_FAILED", "/rotator/rotator already\n exists", ""],
    ["Role", "CREATE_COMPLETE", None, "rotator-Role-1"],
    ["rotator", "CREATE_IN_PROGRESS", "User Initiated", STACK_ID],
    ["Function", "UPDATE_FAILED", "of long ago", ""],
]
DEPLOY_FAILED = Refusal("\nFailed to create/update the stack. Run the following command " + CANARY)


@pytest.mark.usefixtures("packaged")
def test_a_creation_that_fails_is_told_by_its_first_failure_and_leaves_no_stack(
    aws: FakeAws, environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    aws.answers("cloudformation deploy", DEPLOY_FAILED)
    aws.answers("cloudformation describe-stack-events", EVENTS)
    left = stack("ROLLBACK_COMPLETE", **DESCRIPTION)
    gone = stack("DELETE_COMPLETE")
    aws.answers("cloudformation describe-stacks", NO_STACK, stack("ROLLBACK_IN_PROGRESS"), left, left, gone)
    assert run_deploy(environ) == 1
    assert the_line(capsys) == (
        "deploy: LogGroup: /rotator/rotator already exists; what had been created was deleted again; "
        "mend that, then deploy again"
    )
    assert aws.changes == ["cloudformation deploy", "cloudformation delete-stack"]


@pytest.mark.usefixtures("packaged")
def test_an_update_that_fails_is_told_and_the_stack_stays_as_it_was(
    aws: FakeAws, environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    aws.answers("cloudformation deploy", DEPLOY_FAILED)
    events = [
        ["Function", "UPDATE_FAILED", "too much memory", ""],
        ["rotator", "UPDATE_IN_PROGRESS", None, STACK_ID],
    ]
    aws.answers("cloudformation describe-stack-events", events + EVENTS)
    aws.answers("cloudformation describe-stacks", stack(), stack("UPDATE_ROLLBACK_COMPLETE"))
    assert run_deploy(environ) == 1
    assert "Function: too much memory; the stack is as it was before; mend that" in the_line(capsys)
    assert aws.changes == ["cloudformation deploy"]


@pytest.mark.usefixtures("packaged")
@pytest.mark.parametrize("status", sorted(stacks.LEFTOVERS))
def test_what_an_earlier_creation_left_is_deleted_first_and_that_is_said(
    aws: FakeAws, environ: dict[str, str], capsys: pytest.CaptureFixture[str], status: str
) -> None:
    aws.answers("cloudformation describe-stacks", stack(status, **DESCRIPTION), NO_STACK, stack())
    assert run_deploy(environ) == 0
    assert aws.changes == ["cloudformation delete-stack", "cloudformation deploy"]
    assert "deleted what an earlier, failed creation of rotator had left" in capsys.readouterr().out


@pytest.mark.usefixtures("packaged")
def test_a_refused_value_is_told_in_the_templates_words_and_the_empty_stack_is_deleted(
    aws: FakeAws, environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    rule = "must be a path such as /healthwise/token, not below /aws or /ssm, of at most 14 levels"
    words = f"Parameter ParameterName '{CANARY}' failed to satisfy constraint: {rule}"
    aws.answers("cloudformation deploy", refused("ValidationError", "CreateChangeSet", words))
    aws.answers("cloudformation describe-stacks", NO_STACK, stack("REVIEW_IN_PROGRESS"), NO_STACK)
    assert run_deploy(environ) == 1
    assert "refuses the change: ParameterName: must be a path such as /healthwise/token" in the_line(capsys)
    assert aws.changes == ["cloudformation deploy", "cloudformation delete-stack"]


@pytest.mark.usefixtures("packaged")
def test_a_change_set_on_a_stack_that_was_there_before_is_left_alone(
    aws: FakeAws, environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    aws.answers("cloudformation deploy", denied("CreateChangeSet"))
    aws.answers("cloudformation describe-stacks", stack(), stack("REVIEW_IN_PROGRESS"))
    assert run_deploy(environ) == 1
    assert "CloudFormation refuses the change" in the_line(capsys)
    assert aws.changes == ["cloudformation deploy"]


@pytest.mark.usefixtures("packaged")
def test_other_code_than_was_built_is_told_with_how_to_mend_it(
    aws: FakeAws, environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    aws.answers("lambda get-function-configuration", "b3RoZXI=")
    assert run_deploy(environ) == 1
    line = the_line(capsys)
    assert line.startswith(
        f"deploy: the function runs other code than was built: its SHA-256 is b3RoZXI=, not {CODE}; "
    )
    assert "see who may write to the bucket" in line
    assert line.endswith("deploy again")
    assert aws.call("lambda get-function-configuration")[:2] == ["--function-name", "rotator-Function-1"]


@pytest.mark.usefixtures("packaged")
def test_code_that_may_not_be_looked_at_is_told_in_a_line_and_the_deployment_stands(
    aws: FakeAws, environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    aws.answers("lambda get-function-configuration", denied("GetFunctionConfiguration"))
    assert run_deploy(environ) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert printed.out.splitlines()[2] == (
        "not verified that the function runs what was built: let this identity do GetFunctionConfiguration"
    )
    assert CANARY not in printed.out


@pytest.mark.usefixtures("packaged")
def test_code_that_cannot_be_looked_at_is_a_problem(
    aws: FakeAws, environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    aws.answers("lambda get-function-configuration", Refusal("Could not connect: " + CANARY))
    assert run_deploy(environ) == 1
    assert "deployed, but the function could not be looked at: NoConnection; check" in the_line(capsys)


def test_both_uploads_replace_what_somebody_else_may_have_put_there(
    aws: FakeAws, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    zip_file = tmp_path / "rotator.zip"
    zip_file.write_bytes(ZIP)
    monkeypatch.setattr(function_code, "build", lambda: zip_file)
    aws.answers("cloudformation package", None)
    assert run_deploy(environ) == 0
    for uploading in ("cloudformation package", "cloudformation deploy"):
        assert "--force-upload" in aws.call(uploading)


@pytest.mark.usefixtures("packaged")
def test_a_refusal_in_unknown_words_is_told_by_its_code(
    aws: FakeAws, environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    aws.answers("cloudformation deploy", denied("CreateChangeSet"))
    aws.answers("cloudformation describe-stacks", NO_STACK)
    assert run_deploy(environ) == 1
    assert the_line(capsys) == (
        "deploy: CloudFormation refuses the change; nothing was created: AccessDenied; "
        "let this identity do CreateChangeSet"
    )


def test_nothing_is_deployed_without_a_zip(
    aws: FakeAws,
    environ: dict[str, str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    failing = tmp_path / "infra"
    failing.mkdir()
    (failing / "build.py").write_text("raise SystemExit(1)")
    monkeypatch.setattr(function_code, "INFRA", failing)
    assert run_deploy(environ) == 1
    assert the_line(capsys).startswith("deploy: the zip could not be built; ")
    assert aws.changes == []


def run_undeploy(environ: Mapping[str, str]) -> int:
    return command.run("undeploy", lambda: undeploy.undeploy(environ))


UNDEPLOY = {
    "no name": ({"STACK": ""}, None, "STACK is missing; for example: make undeploy STACK=rotator"),
    "no stack": ({}, NO_STACK, "there is no stack rotator in eu-central-1; check STACK"),
    "a change set": ({}, stack("REVIEW_IN_PROGRESS"), REVIEWED),
    **{name: ({}, answer, NO_ROTATOR) for name, answer in OTHERS.items()},
    "protected": (
        {},
        stack(EnableTerminationProtection=True),
        "the stack rotator is protected from deletion; lift",
    ),
}


@pytest.mark.parametrize(("changed", "answer", "told"), UNDEPLOY.values(), ids=UNDEPLOY)
def test_undeploy_says_in_one_line_why_it_deletes_nothing(
    aws: FakeAws,
    environ: dict[str, str],
    capsys: pytest.CaptureFixture[str],
    changed: dict[str, str],
    answer: Any,
    told: str,
) -> None:
    aws.answers("cloudformation describe-stacks", answer)
    assert run_undeploy(environ | changed) == 2
    assert the_line(capsys).startswith(f"undeploy: {told}")
    assert aws.changes == []


ONE = {"ParameterName": "/healthwise/token", "StatusParameterName": "/healthwise/token/status"}
SECRET_PARAMETER = [{"ParameterKey": "SecretArn", "ParameterValue": SECRET_ARN}]
STATUSES = {
    "known": (
        '{"expires_at": "2026-01-01T00:00:00Z"}',
        "it ends at 2026-01-01T00:00:00Z, and nothing renews it",
    ),
    "denied": (denied("GetParameter"), "it ends nobody knows when"),
    "missing": (refused("ParameterNotFound", "GetParameter", CANARY), "it was never written"),
    "unreadable": ("[]", "it ends nobody knows when"),
}


@pytest.mark.parametrize(("status", "told"), STATUSES.values(), ids=STATUSES)
def test_undeploy_says_what_stays_and_how_to_remove_it(
    aws: FakeAws, environ: dict[str, str], capsys: pytest.CaptureFixture[str], status: Any, told: str
) -> None:
    outputs = {**ONE, "KeyArn": "arn:aws:kms:eu-central-1:123456789012:key/1"}
    found = stack(outputs=outputs, Parameters=SECRET_PARAMETER)
    aws.answers("cloudformation describe-stacks", found, stack("DELETE_IN_PROGRESS"), NO_STACK)
    aws.answers("ssm get-parameter", status)
    assert run_undeploy(environ) == 0
    assert aws.changes == ["cloudformation delete-stack"]
    printed = capsys.readouterr().out
    assert told in printed
    assert CANARY not in printed
    assert "aws ssm delete-parameters --names /healthwise/token /healthwise/token/status" in printed
    assert f"aws secretsmanager delete-secret --secret-id {SECRET_ARN}" in printed
    assert "aws kms schedule-key-deletion --key-id arn:aws:kms:eu-central-1:123456789012:key/1" in printed


def test_undeploy_of_many_rotations_names_their_path(
    aws: FakeAws, environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    aws.answers("cloudformation describe-stacks", stack(outputs={"RotationsPath": "/rotations"}), NO_STACK)
    assert run_undeploy(environ) == 0
    printed = capsys.readouterr().out
    assert "aws ssm get-parameters-by-path --recursive --path /rotations" in printed
    assert "schedule-key-deletion" not in printed


def test_a_stack_that_cannot_be_deleted_is_told_with_what_failed(
    aws: FakeAws, environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    aws.answers("cloudformation describe-stacks", stack(), stack("DELETE_FAILED"))
    events = [
        ["rotator", "DELETE_FAILED", "The following resource(s) failed to delete", STACK_ID],
        ["ConsumerPolicy", "DELETE_FAILED", "Cannot delete a policy attached to entities", "arn"],
        ["rotator", "DELETE_IN_PROGRESS", "User Initiated", STACK_ID],
    ]
    aws.answers("cloudformation describe-stack-events", events)
    assert run_undeploy(environ) == 1
    assert the_line(capsys) == (
        "undeploy: the stack could not be deleted: "
        "ConsumerPolicy: Cannot delete a policy attached to entities; "
        "detach it from every role that has it, then make undeploy STACK=rotator again"
    )


def test_what_else_could_not_be_deleted_is_to_be_mended_and_undeployed_again(
    aws: FakeAws, environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    left = stack("DELETE_FAILED", **DESCRIPTION)
    aws.answers("cloudformation describe-stacks", left)
    aws.answers("cloudformation describe-stack-events", [["Queue", "DELETE_FAILED", None, "arn"]])
    assert run_undeploy(environ) == 1
    assert the_line(capsys).endswith(
        "Queue: no reason was given; mend that, then make undeploy STACK=rotator again"
    )


def make_rotate(folder: Path, environ: Mapping[str, str], *variables: str) -> str:
    """Run the Makefile's target with a stand-in of our command that prints its arguments."""
    rotator = folder / ".venv" / "bin" / "rotator"
    rotator.parent.mkdir(parents=True)
    rotator.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    rotator.chmod(0o755)
    made = ["make", "--file", str(CHECKOUT / "Makefile"), "--old-file", ".venv/.base", "rotate", *variables]
    return subprocess.run(made, env=environ, cwd=folder, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("is_exported", [False, True], ids=["on the command line", "in the environment"])
def test_a_functions_name_is_never_the_shells_to_run(
    tmp_path: Path, clean_environment: Mapping[str, str], is_exported: bool
) -> None:
    function = f'x"; touch {tmp_path}/F; `touch {tmp_path}/F`'
    if is_exported:
        printed = make_rotate(tmp_path, {**clean_environment, "FUNCTION": function})
    else:
        printed = make_rotate(tmp_path, clean_environment, f"FUNCTION={function}")
    assert printed.splitlines() == ["rotate", "--force", "--function", function]
    assert not (tmp_path / "F").exists()


def test_without_a_functions_name_it_is_rotated_here(
    tmp_path: Path, clean_environment: Mapping[str, str]
) -> None:
    assert make_rotate(tmp_path, clean_environment, "FUNCTION=").splitlines() == ["rotate", "--force"]


def run_logs(environ: Mapping[str, str]) -> int:
    return command.run("logs", lambda: logs.logs(environ))


@pytest.mark.parametrize(
    ("since", "seconds"), [("", 3600), ("90s", 90), ("5m", 300), ("2h", 7200), ("3d", 259_200)]
)
def test_logs_prints_what_was_logged_since(
    aws: FakeAws,
    environ: dict[str, str],
    capsys: pytest.CaptureFixture[str],
    since: str,
    seconds: int,
) -> None:
    aws.answers("cloudformation describe-stacks", stack(outputs={"LogGroupName": "/rotator/other"}))
    aws.answers("logs filter-log-events", ["first\n", "second"])
    before = time.time()
    assert run_logs(environ | {"SINCE": since}) == 0
    assert capsys.readouterr().out == "first\nsecond\n"
    asked = aws.call("logs filter-log-events")
    assert asked[:2] == ["--log-group-name", "/rotator/other"]
    begin = int(asked[asked.index("--start-time") + 1]) / 1000
    assert before - seconds - 0.001 <= begin <= time.time() - seconds


def test_logs_says_in_one_line_that_nothing_was_logged(
    aws: FakeAws, environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    aws.answers("cloudformation describe-stacks", stack())
    aws.answers("logs filter-log-events", [])
    assert run_logs(environ) == 0
    assert the_line(capsys) == "logs: nothing was logged since 1h ago; is the schedule on?"


LOGS = {
    "no name": ({"STACK": ""}, "STACK is missing; for example: make logs STACK=rotator"),
    "no stack": ({}, "there is no stack rotator in eu-central-1; check STACK"),
    "no unit": ({"SINCE": "10"}, "SINCE is no duration; write 90s"),
    "weeks": ({"SINCE": "1w"}, "SINCE is no duration"),
    "before there was time": ({"SINCE": "-1h"}, "SINCE is no duration"),
}


@pytest.mark.parametrize(("changed", "told"), LOGS.values(), ids=LOGS)
def test_logs_says_in_one_line_what_is_missing(
    aws: FakeAws,
    environ: dict[str, str],
    capsys: pytest.CaptureFixture[str],
    changed: dict[str, str],
    told: str,
) -> None:
    aws.answers("cloudformation describe-stacks", NO_STACK)
    assert run_logs(environ | changed) == 2
    assert the_line(capsys).startswith(f"logs: {told}")


def test_a_log_that_may_not_be_read_is_told_by_its_code(
    aws: FakeAws, environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    aws.answers("cloudformation describe-stacks", stack())
    aws.answers("logs filter-log-events", refused("AccessDeniedException", "FilterLogEvents", CANARY))
    assert run_logs(environ) == 2
    assert the_line(capsys) == (
        "logs: the log /rotator/rotator could not be read: AccessDeniedException; "
        "let this identity do FilterLogEvents"
    )

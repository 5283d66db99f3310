"""The commands and messages of `make deploy`, and its clean-up if CloudFormation fails."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import pytest

from fake_aws_cli import FakeAws, Refusal, refused
from infra import deploy, function_code, stacks, template_parameters
from operator_account import (
    ACCOUNT,
    CANARY,
    CODE,
    DESCRIPTION,
    NO_STACK,
    SECRET_ARN,
    STACK_ID,
    ZIP,
    denied,
    run_deploy,
    stack,
    the_line,
)


@pytest.mark.usefixtures("packaged")
def test_parameters_and_tags_are_passed_unchanged(aws: FakeAws, environ: dict[str, str]) -> None:
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
        "CodeBucket=code",
        "CodeKey=rotator/1.zip",
    ]
    assert arguments[arguments.index("--tags") + 1 :] == ["team=red", "a=b=c"]


@pytest.mark.usefixtures("packaged")
def test_change_targets_are_passed_unchanged(aws: FakeAws, environ: dict[str, str]) -> None:
    reported = [
        f"ChangeFunctionArn=arn:aws:lambda:eu-central-1:{ACCOUNT}:function:reload:live",
        f"ChangeQueueArn=arn:aws:sqs:eu-central-1:{ACCOUNT}:token-changes",
        "RedeployService=web/api",
    ]
    assert run_deploy(environ | {"STACK": "r" * 50, "SET": " ".join(reported)}) == 0
    arguments = aws.call("cloudformation deploy")
    first = arguments.index("--parameter-overrides") + 1
    assert arguments[first : first + 3] == reported


@pytest.mark.usefixtures("packaged")
def test_long_stack_name_is_allowed_without_change_targets(aws: FakeAws, environ: dict[str, str]) -> None:
    no_targets = "ChangeFunctionArn= ChangeQueueArn= RedeployService="
    assert run_deploy(environ | {"STACK": "r" * 51, "SET": no_targets}) == 0
    assert aws.call("cloudformation deploy")


@pytest.mark.usefixtures("packaged")
def test_the_region_may_come_from_the_configuration(
    aws: FakeAws, environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    aws.answers("configure get", "eu-central-1")
    assert run_deploy(environ | {"AWS_REGION": ""}) == 0
    assert "deploying rotator to eu-central-1 in account 123456789012" in capsys.readouterr().out


@pytest.mark.usefixtures("packaged")
def test_cli_gets_the_region_and_never_prompts(aws: FakeAws, environ: dict[str, str]) -> None:
    assert run_deploy(environ) == 0
    for seen in aws.environments:
        assert seen["AWS_REGION"] == seen["AWS_DEFAULT_REGION"] == "eu-central-1"
        assert (seen["AWS_PAGER"], seen["AWS_CLI_AUTO_PROMPT"]) == ("", "off")


@pytest.mark.usefixtures("packaged")
def test_full_secret_arn_needs_no_describe_permission(aws: FakeAws, environ: dict[str, str]) -> None:
    aws.answers("secretsmanager describe-secret", denied("DescribeSecret"))
    assert run_deploy(environ | {"SECRET": SECRET_ARN}) == 0
    assert f"SecretArn={SECRET_ARN}" in aws.call("cloudformation deploy")
    assert run_deploy(environ | {"SECRET": SECRET_ARN.rpartition("-")[0]}) == 2


@pytest.mark.usefixtures("packaged")
def test_multiple_rotations_need_no_secret_or_parameter(
    aws: FakeAws,
    environ: dict[str, str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    multiple = {"SECRET": "", "PARAMETER": "", "SET": "RotationsPath=/rotations ParameterPrefix=/rot"}
    assert run_deploy(environ | multiple | {"BUCKET": ""}) == 2
    assert "BUCKET is missing" in the_line(capsys)
    assert run_deploy(environ | multiple) == 0
    arguments = aws.call("cloudformation deploy")
    assert "RotationsPath=/rotations" in arguments
    assert "SecretArn=" in arguments, "not the one of before"
    assert not any(argument.startswith("ParameterName") for argument in arguments)


@pytest.mark.usefixtures("packaged")
@pytest.mark.parametrize(("topic", "is_told"), [({}, True), ({"AlarmTopicArn": "arn:aws:sns:x"}, False)])
def test_missing_alarm_topic_is_reported(
    topic: dict[str, str],
    is_told: bool,
    aws: FakeAws,
    environ: dict[str, str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    aws.answers("cloudformation describe-stacks", stack(outputs=topic))
    aws.answers("sns list-subscriptions-by-topic", ["arn:aws:sns:x:a-uuid"])
    assert run_deploy(environ) == 0
    assert ("alarms do not notify anyone" in capsys.readouterr().out) is is_told


TOPIC = f"arn:aws:sns:eu-central-1:{ACCOUNT}:on-call"


@pytest.mark.usefixtures("packaged")
@pytest.mark.parametrize(
    ("subscriptions", "reported"),
    [
        pytest.param([], "alarms do not notify anyone", id="none"),
        pytest.param(["PendingConfirmation", "Deleted"], "alarms do not notify anyone", id="pending"),
        pytest.param(
            refused("AuthorizationError", "ListSubscriptionsByTopic", CANARY),
            "AuthorizationError",
            id="denied",
        ),
        pytest.param(
            refused("NotFound", "ListSubscriptionsByTopic", CANARY),
            f"alarms do not notify anyone: there is no topic {TOPIC}; deploy again with another one",
            id="a missing topic",
        ),
        pytest.param(["PendingConfirmation", f"{TOPIC}:a-uuid"], None, id="confirmed"),
    ],
)
def test_unconfirmed_alarm_topic_is_reported(
    subscriptions: list[str] | Refusal,
    reported: str | None,
    aws: FakeAws,
    environ: dict[str, str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    aws.answers("cloudformation describe-stacks", stack(outputs={"AlarmTopicArn": TOPIC}))
    aws.answers("sns list-subscriptions-by-topic", subscriptions)
    assert run_deploy(environ) == 0
    printed = capsys.readouterr()
    lines = [line for line in printed.out.splitlines() if line.startswith("alarms")]
    assert len(lines) == bool(reported)
    assert (reported or "") in "".join(lines)
    assert CANARY not in printed.out + printed.err


@pytest.mark.usefixtures("packaged")
def test_success_prints_the_outputs_and_next_steps(
    environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_deploy(environ) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert printed.out.splitlines()[1:] == [
        "deployed",
        "  FunctionName  rotator-Function-1",
        "  LogGroupName  /rotator/rotator",
        'alarms do not notify anyone: deploy again with SET="AlarmEmail=on-call@example.com"',
        "next:",
        "  make rotate FUNCTION=rotator-Function-1   # request the first token now",
        "  make logs STACK=rotator",
    ]


@pytest.mark.usefixtures("packaged")
def test_multiple_rotations_get_next_steps_without_force(
    aws: FakeAws, environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    aws.answers("cloudformation describe-stacks", stack(outputs={"RotationsPath": "/rotations"}))
    assert run_deploy(environ) == 0
    printed = capsys.readouterr().out
    assert printed.splitlines()[-4:] == [
        "next:",
        "  .venv/bin/rotator add NAME --stack rotator --secret-id ... --parameter-name ...",
        "  .venv/bin/rotator rotate --function rotator-Function-1   # renew the due rotations now",
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
def test_failed_creation_reports_first_failure_and_is_deleted(
    aws: FakeAws, environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    aws.answers("cloudformation deploy", DEPLOY_FAILED)
    aws.answers("cloudformation describe-stack-events", EVENTS)
    left = stack("ROLLBACK_COMPLETE", **DESCRIPTION)
    gone = stack("DELETE_COMPLETE")
    aws.answers("cloudformation describe-stacks", NO_STACK, stack("ROLLBACK_IN_PROGRESS"), left, left, gone)
    assert run_deploy(environ) == 1
    assert the_line(capsys) == (
        "deploy: LogGroup: /rotator/rotator already exists; the created resources were deleted again; "
        "fix the cause, then deploy again"
    )
    assert aws.changes == ["cloudformation deploy", "cloudformation delete-stack"]


@pytest.mark.usefixtures("packaged")
def test_denied_events_are_reported_and_new_stack_is_deleted(
    aws: FakeAws, environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    aws.answers("cloudformation deploy", DEPLOY_FAILED)
    aws.answers("cloudformation describe-stack-events", denied("DescribeStackEvents"))
    aws.answers("cloudformation describe-stacks", NO_STACK, stack("ROLLBACK_COMPLETE"), NO_STACK)
    assert run_deploy(environ) == 1
    assert the_line(capsys) == (
        "deploy: the reason of the failure could not be read: AccessDenied; "
        "allow this caller cloudformation:DescribeStackEvents; "
        "the created resources were deleted again; fix the cause, then deploy again"
    )
    assert aws.changes == ["cloudformation deploy", "cloudformation delete-stack"]


@pytest.mark.usefixtures("packaged")
def test_denied_deletion_is_reported_beside_the_failure(
    aws: FakeAws, environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    aws.answers("cloudformation deploy", DEPLOY_FAILED)
    aws.answers("cloudformation describe-stack-events", EVENTS)
    aws.answers("cloudformation describe-stacks", NO_STACK, stack("ROLLBACK_COMPLETE"))
    aws.answers("cloudformation delete-stack", denied("DeleteStack"))
    assert run_deploy(environ) == 1
    assert the_line(capsys) == (
        "deploy: LogGroup: /rotator/rotator already exists; "
        "the stack rotator could not be deleted: AccessDenied; "
        "allow this caller cloudformation:DeleteStack; fix the cause, then deploy again"
    )


@pytest.mark.usefixtures("packaged")
def test_denied_deletion_of_a_failed_creation_deploys_nothing(
    aws: FakeAws, environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    aws.answers("cloudformation describe-stacks", stack("ROLLBACK_COMPLETE", **DESCRIPTION))
    aws.answers("cloudformation delete-stack", denied("DeleteStack"))
    assert run_deploy(environ) == 1
    assert the_line(capsys).endswith("AccessDenied; allow this caller cloudformation:DeleteStack")
    assert aws.changes == ["cloudformation delete-stack"]


def test_denied_upload_names_the_permission_and_deploys_nothing(
    aws: FakeAws,
    environ: dict[str, str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    zip_file = tmp_path / "rotator.zip"
    zip_file.write_bytes(ZIP)
    monkeypatch.setattr(function_code, "built", lambda: zip_file)
    aws.answers("s3 cp", denied("PutObject"))
    assert run_deploy(environ) == 1
    assert the_line(capsys).endswith("AccessDenied; allow this caller s3:PutObject")
    assert aws.changes == ["s3 cp"]


@pytest.mark.usefixtures("packaged")
def test_failed_update_is_reported_and_the_stack_kept(
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
    assert (
        "Function: too much memory; the stack was rolled back to its previous state; fix the cause"
        in the_line(capsys)
    )
    assert aws.changes == ["cloudformation deploy"]


@pytest.mark.usefixtures("packaged")
@pytest.mark.parametrize("status", sorted(stacks.LEFTOVERS))
def test_stack_of_a_failed_creation_is_deleted_first(
    aws: FakeAws, environ: dict[str, str], capsys: pytest.CaptureFixture[str], status: str
) -> None:
    aws.answers("cloudformation describe-stacks", stack(status, **DESCRIPTION), NO_STACK, stack())
    assert run_deploy(environ) == 0
    assert aws.changes == ["cloudformation delete-stack", "cloudformation deploy"]
    assert "deleted the stack rotator, whose earlier creation failed" in capsys.readouterr().out


@pytest.mark.usefixtures("packaged")
def test_refused_value_is_explained_and_empty_stack_deleted(
    aws: FakeAws, environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    _pattern, rule = template_parameters.pattern(deploy.TEMPLATE.read_text(), "ParameterName")
    words = f"Parameter ParameterName '{CANARY}' failed to satisfy constraint: {rule}"
    aws.answers("cloudformation deploy", refused("ValidationError", "CreateChangeSet", words))
    aws.answers("cloudformation describe-stacks", NO_STACK, stack("REVIEW_IN_PROGRESS"), NO_STACK)
    assert run_deploy(environ) == 1
    assert "refuses the change: ParameterName: must be a path such as /healthwise/token" in the_line(capsys)
    assert aws.changes == ["cloudformation deploy", "cloudformation delete-stack"]


@pytest.mark.usefixtures("packaged")
def test_refused_change_set_does_not_delete_existing_stack(
    aws: FakeAws, environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    aws.answers("cloudformation deploy", denied("CreateChangeSet"))
    aws.answers("cloudformation describe-stacks", stack(), stack("REVIEW_IN_PROGRESS"))
    assert run_deploy(environ) == 1
    assert "CloudFormation refuses the change" in the_line(capsys)
    assert aws.changes == ["cloudformation deploy"]


FAILED, REFUSED, EXECUTED = (f"awscli-cloudformation-package-deploy-{2**33 + n}" for n in range(3))
CHANGE_SETS = [
    [FAILED, "UNAVAILABLE"],
    [REFUSED, "AVAILABLE"],
    [EXECUTED, "EXECUTE_COMPLETE"],
    ["awscli-cloudformation-package-deploy-1", "AVAILABLE"],
    ["awscli-cloudformation-package-deploy-x", "AVAILABLE"],
    ["theirs", "UNAVAILABLE"],
]


def deleted_change_sets(aws: FakeAws) -> list[str]:
    return [call[5] for call in aws.calls if call[:2] == ["cloudformation", "delete-change-set"]]


@pytest.mark.usefixtures("packaged")
@pytest.mark.parametrize(
    ("answer", "exit_code"),
    [("No changes to deploy. Stack rotator is up to date", 0), (denied("ExecuteChangeSet"), 1)],
    ids=["nothing to change", "a refused execution"],
)
def test_own_change_sets_are_deleted_if_not_executed(
    aws: FakeAws, environ: dict[str, str], answer: str | Refusal, exit_code: int
) -> None:
    aws.answers("cloudformation describe-stacks", stack())
    aws.answers("cloudformation deploy", answer)
    aws.answers("cloudformation list-change-sets", CHANGE_SETS)
    assert run_deploy(environ) == exit_code
    assert deleted_change_sets(aws) == [FAILED, REFUSED]


@pytest.mark.usefixtures("packaged")
def test_executed_change_sets_are_left_to_cloudformation(aws: FakeAws, environ: dict[str, str]) -> None:
    aws.answers("cloudformation list-change-sets", CHANGE_SETS)
    assert run_deploy(environ) == 0
    assert deleted_change_sets(aws) == []


@pytest.mark.usefixtures("packaged")
def test_denied_deletion_of_a_change_set_is_reported(
    aws: FakeAws, environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    aws.answers("cloudformation deploy", "No changes to deploy. Stack rotator is up to date")
    aws.answers("cloudformation list-change-sets", CHANGE_SETS)
    aws.answers("cloudformation delete-change-set", denied("DeleteChangeSet"))
    assert run_deploy(environ) == 0
    reported = capsys.readouterr().out
    assert "the change set that was not executed could not be deleted: AccessDenied; " in reported
    assert "allow this caller cloudformation:DeleteChangeSet" in reported
    assert CANARY not in reported


@pytest.mark.usefixtures("packaged")
def test_unexpected_function_code_is_reported_with_a_fix(
    aws: FakeAws, environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    aws.answers("lambda get-function-configuration", "b3RoZXI=")
    assert run_deploy(environ) == 1
    line = the_line(capsys)
    assert line.startswith(
        f"deploy: the function runs other code than the zip: its SHA-256 is b3RoZXI=, not {CODE}; "
    )
    assert "check who can write to the bucket" in line
    assert line.endswith("deploy again")
    assert aws.call("lambda get-function-configuration")[:2] == ["--function-name", "rotator-Function-1"]


@pytest.mark.usefixtures("packaged")
def test_denied_code_check_is_reported_and_deploy_succeeds(
    aws: FakeAws, environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    aws.answers("lambda get-function-configuration", denied("GetFunctionConfiguration"))
    assert run_deploy(environ) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert printed.out.splitlines()[2] == (
        "the function's code was not verified: allow this caller lambda:GetFunctionConfiguration"
    )
    assert CANARY not in printed.out


@pytest.mark.usefixtures("packaged")
def test_failed_code_check_fails_the_deploy(
    aws: FakeAws, environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    aws.answers("lambda get-function-configuration", Refusal("Could not connect: " + CANARY))
    assert run_deploy(environ) == 1
    assert "function's code could not be verified: NoConnection; check" in the_line(capsys)


def test_both_uploads_replace_existing_objects(
    aws: FakeAws, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    zip_file = tmp_path / "rotator.zip"
    zip_file.write_bytes(ZIP)
    monkeypatch.setattr(function_code, "built", lambda: zip_file)
    aws.answers("s3 cp", None)
    assert run_deploy(environ) == 0
    key = f"rotator/{hashlib.sha256(ZIP).hexdigest()}.zip"
    assert aws.call("s3 cp") == ["--only-show-errors", "--sse", "AES256", str(zip_file), f"s3://code/{key}"]
    assert "--force-upload" in aws.call("cloudformation deploy")
    assert f"CodeKey={key}" in aws.call("cloudformation deploy")


@pytest.mark.usefixtures("packaged")
def test_unrecognized_refusal_is_reported_by_its_code(
    aws: FakeAws, environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    aws.answers("cloudformation deploy", denied("CreateChangeSet"))
    aws.answers("cloudformation describe-stacks", NO_STACK)
    assert run_deploy(environ) == 1
    assert the_line(capsys) == (
        "deploy: CloudFormation refuses the change; nothing was created: AccessDenied; "
        "allow this caller cloudformation:CreateChangeSet"
    )


def test_failed_build_deploys_nothing(
    aws: FakeAws,
    environ: dict[str, str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(function_code, "BUILD", (sys.executable, "-c", "raise OSError('the disk is full')"))
    assert run_deploy(environ) == 1
    assert the_line(capsys).startswith("deploy: the zip could not be built, and nothing was deployed; ")
    assert aws.changes == []

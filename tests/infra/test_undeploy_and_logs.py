"""`make undeploy`, `make logs` and `make rotate`: what is missing in one line, and what stays."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from conftest import CHECKOUT
from fake_aws_cli import FakeAws, refused
from infra import command, logs, undeploy
from operator_account import (
    CANARY,
    DESCRIPTION,
    NO_ROTATOR,
    NO_STACK,
    OTHERS,
    REVIEWED,
    SECRET_ARN,
    STACK_ID,
    denied,
    stack,
    the_line,
)


def run_undeploy(environ: Mapping[str, str]) -> int:
    return command.run("undeploy", lambda: undeploy.undeploy(environ))


UNDEPLOY = {
    "no name": ({"STACK": ""}, None, "STACK is missing; for example: make undeploy STACK=rotator"),
    "no stack": ({}, NO_STACK, "the stack rotator does not exist in eu-central-1; check STACK"),
    "a change set": ({}, stack("REVIEW_IN_PROGRESS"), REVIEWED),
    **{name: ({}, answer, NO_ROTATOR) for name, answer in OTHERS.items()},
    "protected": (
        {},
        stack(EnableTerminationProtection=True),
        "the stack rotator is protected from deletion; disable the protection first",
    ),
}


@pytest.mark.parametrize(("changed", "answer", "reported"), UNDEPLOY.values(), ids=UNDEPLOY)
def test_refused_undeploy_prints_one_line_and_deletes_nothing(
    aws: FakeAws,
    environ: dict[str, str],
    capsys: pytest.CaptureFixture[str],
    changed: dict[str, str],
    answer: Any,
    reported: str,
) -> None:
    aws.answers("cloudformation describe-stacks", answer)
    assert run_undeploy(environ | changed) == 2
    assert the_line(capsys).startswith(f"undeploy: {reported}")
    assert aws.changes == []


ONE = {"ParameterName": "/healthwise/token", "StatusParameterName": "/healthwise/token/status"}
SECRET_PARAMETER = [{"ParameterKey": "SecretArn", "ParameterValue": SECRET_ARN}]
STATUSES = {
    "known": (
        '{"expires_at": "2026-01-01T00:00:00Z"}',
        "which expires at 2026-01-01T00:00:00Z and is no longer renewed",
    ),
    "denied": (denied("GetParameter"), "which has an unknown expiry"),
    "missing": (refused("ParameterNotFound", "GetParameter", CANARY), "which was never written"),
    "unreadable": ("[]", "which has an unknown expiry"),
}


@pytest.mark.parametrize(("status", "reported"), STATUSES.values(), ids=STATUSES)
def test_undeploy_lists_kept_resources_with_delete_commands(
    aws: FakeAws, environ: dict[str, str], capsys: pytest.CaptureFixture[str], status: Any, reported: str
) -> None:
    outputs = {**ONE, "KeyArn": "arn:aws:kms:eu-central-1:123456789012:key/1"}
    found = stack(outputs=outputs, Parameters=SECRET_PARAMETER)
    aws.answers("cloudformation describe-stacks", found, stack("DELETE_IN_PROGRESS"), NO_STACK)
    aws.answers("ssm get-parameter", status)
    assert run_undeploy(environ) == 0
    assert aws.changes == ["cloudformation delete-stack"]
    printed = capsys.readouterr().out
    assert reported in printed
    assert CANARY not in printed
    assert (
        "aws ssm delete-parameters --names /healthwise/token /healthwise/token/status /healthwise/token/lease"
        in printed
    )
    assert f"aws secretsmanager delete-secret --secret-id {SECRET_ARN}" in printed
    assert "aws kms schedule-key-deletion --key-id arn:aws:kms:eu-central-1:123456789012:key/1" in printed


def test_undeploy_of_multiple_rotations_names_their_path(
    aws: FakeAws, environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    aws.answers("cloudformation describe-stacks", stack(outputs={"RotationsPath": "/rotations"}), NO_STACK)
    assert run_undeploy(environ) == 0
    printed = capsys.readouterr().out
    assert "aws ssm get-parameters-by-path --recursive --path /rotations" in printed
    assert "schedule-key-deletion" not in printed


def test_undeploy_names_the_regions_of_copies_that_stay(
    aws: FakeAws, environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    parameters = [{"ParameterKey": "ReplicaRegions", "ParameterValue": "eu-west-1,us-west-2"}]
    aws.answers("cloudformation describe-stacks", stack(Parameters=parameters), NO_STACK)
    assert run_undeploy(environ) == 0
    printed = capsys.readouterr().out
    assert "the replicas of token and status in eu-west-1,us-west-2, which are no longer updated" in printed


def test_failed_deletion_names_the_resource_and_next_step(
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
        "undeploy: the stack rotator could not be deleted: "
        "ConsumerPolicy: Cannot delete a policy attached to entities; "
        "detach the policy from every role that uses it, then make undeploy STACK=rotator again"
    )


DENIED = {
    "reading the stack": ((denied("DescribeStacks"),), "DescribeStacks", []),
    "deleting it": ((stack(),), "DeleteStack", ["cloudformation delete-stack"]),
    "reading its events": (
        (stack(), stack("DELETE_FAILED")),
        "DescribeStackEvents",
        ["cloudformation delete-stack"],
    ),
}


@pytest.mark.parametrize(("stacks", "operation", "changes"), DENIED.values(), ids=DENIED)
def test_denied_undeploy_names_the_permission(
    aws: FakeAws,
    environ: dict[str, str],
    capsys: pytest.CaptureFixture[str],
    stacks: tuple[Any, ...],
    operation: str,
    changes: list[str],
) -> None:
    aws.answers("cloudformation describe-stacks", *stacks)
    aws.answers("cloudformation describe-stack-events", denied("DescribeStackEvents"))
    if operation == "DeleteStack":
        aws.answers("cloudformation delete-stack", denied(operation))
    assert run_undeploy(environ) in (1, 2)
    line = the_line(capsys)
    assert line.startswith("undeploy: the stack ")
    assert f"AccessDenied; allow this caller cloudformation:{operation}" in line
    assert aws.changes == changes


def test_failed_deletion_without_a_reason_says_to_try_again(
    aws: FakeAws, environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    left = stack("DELETE_FAILED", **DESCRIPTION)
    aws.answers("cloudformation describe-stacks", left)
    aws.answers("cloudformation describe-stack-events", [["Queue", "DELETE_FAILED", None, "arn"]])
    assert run_undeploy(environ) == 1
    assert the_line(capsys).endswith(
        "Queue: no reason was given; fix the cause, then make undeploy STACK=rotator again"
    )


def try_to_make_rotate(
    folder: Path, environ: Mapping[str, str], *variables: str
) -> subprocess.CompletedProcess[str]:
    """Run the Makefile's target with a stand-in of our command that prints its arguments."""
    rotator = folder / ".venv" / "bin" / "rotator"
    rotator.parent.mkdir(parents=True)
    rotator.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    rotator.chmod(0o755)
    made = ["make", "--file", str(CHECKOUT / "Makefile"), "--old-file", ".venv/.base", "rotate", *variables]
    return subprocess.run(made, env=environ, cwd=folder, capture_output=True, text=True, check=False)


def make_rotate(folder: Path, environ: Mapping[str, str], *variables: str) -> str:
    made = try_to_make_rotate(folder, environ, *variables)
    made.check_returncode()
    return made.stdout


@pytest.mark.parametrize("is_exported", [False, True], ids=["on the command line", "in the environment"])
def test_function_name_is_not_evaluated_by_the_shell(
    tmp_path: Path, clean_environment: Mapping[str, str], is_exported: bool
) -> None:
    function = f'x"; touch {tmp_path}/F; `touch {tmp_path}/F`'
    if is_exported:
        printed = make_rotate(tmp_path, {**clean_environment, "FUNCTION": function})
    else:
        printed = make_rotate(tmp_path, clean_environment, f"FUNCTION={function}")
    assert printed.splitlines() == ["rotate", "--force", "--function", function]
    assert not (tmp_path / "F").exists()


def test_make_rotate_without_function_rotates_locally(
    tmp_path: Path, clean_environment: Mapping[str, str]
) -> None:
    assert make_rotate(tmp_path, clean_environment, "FUNCTION=").splitlines() == ["rotate", "--force"]


def test_make_rotate_passes_the_given_names(tmp_path: Path, clean_environment: Mapping[str, str]) -> None:
    printed = make_rotate(tmp_path, clean_environment, "FUNCTION=rotator", "NAMES=tenant-a  tenant-b")
    force = ["rotate", "--force", "--function", "rotator"]
    assert printed.splitlines() == [*force, "--", "tenant-a", "tenant-b"]


@pytest.mark.parametrize("is_exported", [False, True], ids=["on the command line", "in the environment"])
def test_names_are_not_evaluated_by_the_shell_or_as_options(
    tmp_path: Path, clean_environment: Mapping[str, str], is_exported: bool
) -> None:
    names = f'--dry-run * a"; touch {tmp_path}/F; `touch {tmp_path}/F`'
    if is_exported:
        printed = make_rotate(tmp_path, {**clean_environment, "NAMES": names})
    else:
        printed = make_rotate(tmp_path, clean_environment, f"NAMES={names}")
    assert printed.splitlines() == ["rotate", "--force", "--", *names.split()]
    assert not (tmp_path / "F").exists()


@pytest.mark.parametrize("nothing", ["", "  "])
def test_empty_names_are_refused(tmp_path: Path, clean_environment: Mapping[str, str], nothing: str) -> None:
    made = try_to_make_rotate(tmp_path, clean_environment, "FUNCTION=rotator", f"NAMES={nothing}")
    assert (made.returncode, made.stdout) == (2, "")
    refusal = "rotate: NAMES is empty; set it to names of rotations, or remove it to renew all"
    assert made.stderr.splitlines()[0] == refusal


def run_logs(environ: Mapping[str, str]) -> int:
    return command.run("logs", lambda: logs.logs(environ))


@pytest.mark.parametrize(
    ("since", "seconds"), [("", 3600), ("90s", 90), ("5m", 300), ("2h", 7200), ("3d", 259_200)]
)
def test_logs_prints_lines_since_the_given_time(
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


def test_logs_without_lines_prints_one_line(
    aws: FakeAws, environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    aws.answers("cloudformation describe-stacks", stack())
    aws.answers("logs filter-log-events", [])
    assert run_logs(environ) == 0
    assert the_line(capsys) == (
        "logs: the function logged nothing in the last 1h; check that its schedule is enabled"
    )


LOGS = {
    "no name": ({"STACK": ""}, "STACK is missing; for example: make logs STACK=rotator"),
    "no stack": ({}, "the stack rotator does not exist in eu-central-1; check STACK"),
    "no unit": ({"SINCE": "10"}, "SINCE is not a valid duration; write a number and a unit"),
    "weeks": ({"SINCE": "1w"}, "SINCE is not a valid duration"),
    "before there was time": ({"SINCE": "-1h"}, "SINCE is not a valid duration"),
}


@pytest.mark.parametrize(("changed", "reported"), LOGS.values(), ids=LOGS)
def test_invalid_logs_setting_is_reported_in_one_line(
    aws: FakeAws,
    environ: dict[str, str],
    capsys: pytest.CaptureFixture[str],
    changed: dict[str, str],
    reported: str,
) -> None:
    aws.answers("cloudformation describe-stacks", NO_STACK)
    assert run_logs(environ | changed) == 2
    assert the_line(capsys).startswith(f"logs: {reported}")


def test_denied_log_is_reported_by_its_code(
    aws: FakeAws, environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    aws.answers("cloudformation describe-stacks", stack())
    aws.answers("logs filter-log-events", refused("AccessDeniedException", "FilterLogEvents", CANARY))
    assert run_logs(environ) == 2
    assert the_line(capsys) == (
        "logs: the log /rotator/rotator could not be read: AccessDeniedException; "
        "allow this caller logs:FilterLogEvents"
    )

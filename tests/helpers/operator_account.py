"""An account as the fake AWS CLI reports it, for the tests of the operator's commands."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from typing import Any

import pytest

from fake_aws_cli import Refusal, refused
from infra import command, deploy

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


def denied(operation: str) -> Refusal:
    return refused("AccessDenied", operation, CANARY)


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
REVIEWED = (
    "the stack rotator has a change set that was not executed; "
    "execute or delete the change set, or set STACK to another name"
)
NO_ROTATOR = "the stack rotator is not a rotator; set STACK to another name"
"""Stacks of the same name that are not ours."""


def run_deploy(environ: Mapping[str, str]) -> int:
    return command.run("deploy", lambda: deploy.deploy(environ))


def the_line(capsys: pytest.CaptureFixture[str]) -> str:
    """The one line on standard error."""
    (line,) = capsys.readouterr().err.splitlines()
    assert CANARY not in line
    return line

"""A CloudFormation stack, read and deleted through the AWS CLI."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from infra.aws_cli import Cli, CliError
from infra.command import Problem

POLL_SECONDS = 3
LONGEST_WAIT_SECONDS = 3600
"""The longest time to wait until CloudFormation has finished an operation."""

REVIEW = "REVIEW_IN_PROGRESS"
"""A stack with nothing but a change set: one of `make deploy` that failed, or one under review."""

LEFTOVERS = frozenset({"ROLLBACK_COMPLETE", "ROLLBACK_FAILED"})
"""The statuses of a stack whose creation failed. Such a stack can only be deleted."""

DESCRIPTION = "Rotator:"
"""The beginning of the template's description, which identifies a stack without outputs."""

_CHANGE_SET = "awscli-cloudformation-package-deploy-"
"""The name of a change set of `aws cloudformation deploy`, up to the seconds since 1970."""


@dataclass(frozen=True)
class Stack:
    """A stack as it was when it was read."""

    id: str
    name: str
    status: str
    description: str
    outputs: Mapping[str, str]
    parameters: Mapping[str, str]
    tags: Mapping[str, str]
    is_protected: bool

    @property
    def is_changing(self) -> bool:
        """Return whether CloudFormation is changing it."""
        return self.status.endswith("_IN_PROGRESS") and self.status != REVIEW


def check_name(name: str, command: str) -> str:
    """Return the name if a stack may have it; raises Problem.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateStack.html
    """
    if not name:
        raise Problem("STACK is missing", f"for example: make {command} STACK=rotator")
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9-]{0,127}", name):
        step = "use letters, digits and hyphens, a letter first, at most 128 of them: STACK=rotator"
        raise Problem("STACK is not a stack's name", step)
    return name


def find(cli: Cli, name: str) -> Stack | None:
    """Return the stack of this name or id, None if there is none; raises Problem if it cannot be read."""
    try:
        found = cli.read(
            *("cloudformation", "describe-stacks", "--stack-name", name, "--query", "Stacks[0]"),
            failure=f"the stack {name} could not be read",
        )
    except CliError as error:
        if error.code == "ValidationError":  # the name is valid, so no stack has it
            return None
        raise
    if found["StackStatus"] == "DELETE_COMPLETE":
        return None
    return Stack(
        id=found["StackId"],
        name=found["StackName"],
        status=found["StackStatus"],
        description=found.get("Description", ""),
        outputs=_pairs(found.get("Outputs"), "OutputKey", "OutputValue"),
        parameters=_pairs(found.get("Parameters"), "ParameterKey", "ParameterValue"),
        tags=_pairs(found.get("Tags"), "Key", "Value"),
        is_protected=bool(found.get("EnableTerminationProtection")),
    )


def _pairs(entries: list[dict[str, str]] | None, key: str, value: str) -> dict[str, str]:
    return {entry[key]: entry.get(value, "") for entry in entries or []}


def existing(cli: Cli, name: str) -> Stack:
    """Return the stack of this name; raises Problem if there is none."""
    stack = find(cli, name)
    if stack is None:
        step = "check STACK, the account and the Region"
        raise Problem(f"the stack {name} does not exist in {cli.region}", step)
    return stack


def check_ours(stack: Stack) -> None:
    """Raise Problem if a stack may be another team's, or hold its change set."""
    if stack.status == REVIEW:
        step = "execute or delete the change set, or set STACK to another name"
        raise Problem(f"the stack {stack.name} has a change set that was not executed", step)
    if stack.status.startswith(("CREATE_IN_PROGRESS", "CREATE_FAILED", "ROLLBACK_", "DELETE_")):
        is_rotator = stack.description.startswith(DESCRIPTION)  # it may have no outputs
    else:
        log_group = stack.outputs.get("LogGroupName")
        is_rotator = "FunctionName" in stack.outputs and log_group == f"/rotator/{stack.name}"
    if not is_rotator:
        raise Problem(f"the stack {stack.name} is not a rotator", "set STACK to another name")


def awaited(cli: Cli, name: str, is_done: Callable[[Stack], bool]) -> Stack | None:
    """Return the stack once it is done, None if it is gone; raises Problem after an hour."""
    deadline = time.monotonic() + LONGEST_WAIT_SECONDS
    while (stack := find(cli, name)) and not is_done(stack):
        if time.monotonic() > deadline:
            raise Problem(
                f"the stack {stack.name} has been in the state {stack.status} for an hour",
                "check its events in the CloudFormation console",
                exit_code=1,
            )
        time.sleep(POLL_SECONDS)
    return stack


def first_failure(cli: Cli, stack_id: str) -> str:
    """Return the resource and the reason of the first failure in the stack's last operation, empty if none.

    The reason is a text of AWS, the only one that is printed, because nothing else says what to fix. It may
    quote the template's parameters and its resources. These contain no secret: CloudFormation knows only the
    secret's ARN.
    """
    members = "LogicalResourceId, ResourceStatus, ResourceStatusReason, PhysicalResourceId"
    try:
        events = cli.read(
            *("cloudformation", "describe-stack-events", "--stack-name", stack_id),
            *("--query", f"StackEvents[].[{members}]"),
            failure="the reason of the failure could not be read",
        )
    except CliError as error:
        return str(error)
    failure = ""
    for name, status, reason, physical_id in events or []:  # the newest first
        if status.endswith("_FAILED"):
            failure = f"{name}: {' '.join(str(reason or 'no reason was given').split())}"
        if physical_id == stack_id and re.fullmatch("(CREATE|UPDATE|DELETE)_IN_PROGRESS", status):
            break
    return failure


def delete_change_sets(cli: Cli, name: str, *, since: int) -> None:
    """Delete the stack's change sets that the CLI made and did not execute; print a line if that fails.

    Change sets from before ``since``, in seconds since 1970, are kept: a colleague may be reviewing them.
    """
    of_stack = ("--stack-name", name)
    failure = "the change set that was not executed could not be deleted"
    query = "Summaries[].[ChangeSetName, ExecutionStatus]"
    try:
        found = cli.read("cloudformation", "list-change-sets", *of_stack, "--query", query, failure=failure)
        for change_set, status in found or []:
            made_at = change_set.removeprefix(_CHANGE_SET)
            # It failed, or its execution was refused.
            is_left = status in ("UNAVAILABLE", "AVAILABLE")
            if is_left and made_at.isdecimal() and int(made_at) >= since:
                delete = ("delete-change-set", *of_stack, "--change-set-name", change_set)
                cli.run("cloudformation", *delete, failure=failure)
    except CliError as error:
        print(error)


def delete(cli: Cli, stack: Stack) -> None:
    """Delete the stack and wait until it is gone; raises Problem with the first failure."""
    failure = f"the stack {stack.name} could not be deleted"
    cli.run("cloudformation", "delete-stack", "--stack-name", stack.id, failure=failure, exit_code=1)
    left = awaited(cli, stack.id, lambda stack: stack.status == "DELETE_FAILED")
    if left:
        reason = first_failure(cli, stack.id)
        fix = "fix the cause"
        if reason.startswith("ConsumerPolicy:"):  # IAM deletes no policy that is attached
            fix = "detach the policy from every role that uses it"
        raise Problem(
            f"{failure}: {reason or left.status}",
            f"{fix}, then make undeploy STACK={stack.name} again",
            exit_code=1,
        )

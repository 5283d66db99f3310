"""A CloudFormation stack, read and deleted through the AWS CLI."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from infra.aws_cli import Cli, CliError
from infra.command import Problem

POLL_SECONDS = 3
LONGEST_WAIT_SECONDS = 3600
"""The longest time to wait until CloudFormation has finished an operation."""

REVIEW = "REVIEW_IN_PROGRESS"
"""A stack with nothing but a change set: one of `make deploy` that failed, or one under review."""

LEFTOVERS = frozenset({"ROLLBACK_COMPLETE", "ROLLBACK_FAILED"})
"""The statuses of a stack whose creation failed. Such a stack can only be deleted."""

_WITHOUT_OUTPUTS = ("CREATE_IN_PROGRESS", "CREATE_FAILED", "ROLLBACK_", "DELETE_")
"""The beginnings of the statuses in which a stack may have no outputs."""

_CHANGE_SET = "awscli-cloudformation-package-deploy-"
"""The name of a change set of `aws cloudformation deploy`, up to the seconds since 1970."""

_NOT_EXECUTED = ("UNAVAILABLE", "AVAILABLE")
"""The execution statuses of a change set that failed, or whose execution was refused."""

DESCRIPTION = "Rotator:"
"""The beginning of the template's description, which identifies a stack without outputs."""

_EVENT_MEMBERS = ("LogicalResourceId", "ResourceStatus", "ResourceStatusReason", "PhysicalResourceId")
_BEGINNINGS = ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,127}")


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

    @property
    def is_rotator(self) -> bool:
        """Return whether the stack is of this template, by its outputs, or without any by its description."""
        if self.status.startswith(_WITHOUT_OUTPUTS):
            return self.description.startswith(DESCRIPTION)
        return "FunctionName" in self.outputs and self.outputs.get("LogGroupName") == f"/rotator/{self.name}"


class Failure(NamedTuple):
    """The first failure of a stack's operation. Without a logical id, the reason says why it is unknown.

    Its text may be printed; see ``first_failure``.
    """

    logical_id: str
    reason: str

    def __str__(self) -> str:
        """Return the text of a message."""
        return f"{self.logical_id}: {self.reason}" if self.logical_id else self.reason


def check_name(name: str, command: str) -> str:
    """Return the name if a stack may have it; raises Problem.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateStack.html
    """
    if not name:
        raise Problem("STACK is missing", f"for example: make {command} STACK=rotator")
    if not _NAME.fullmatch(name):
        raise Problem(
            "STACK is not a stack's name",
            "use letters, digits and hyphens, a letter first, at most 128 of them: STACK=rotator",
        )
    return name


def find(cli: Cli, name: str) -> Stack | None:
    """Return the stack of this name or id, None if there is none; raises Problem if it cannot be read."""
    try:
        found = cli.read("cloudformation", "describe-stacks", "--stack-name", name, "--query", "Stacks[0]")
    except CliError as error:
        if error.code == "ValidationError":  # the name is valid, so no stack has it
            return None
        raise error.problem(f"the stack {name} could not be read") from None
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
        raise Problem(
            f"the stack {name} does not exist in {cli.region}", "check STACK, the account and the Region"
        )
    return stack


def check_ours(stack: Stack) -> None:
    """Raise Problem if a stack may be another team's, or hold its change set."""
    if stack.status == REVIEW:
        raise Problem(
            f"the stack {stack.name} has a change set that was not executed",
            "execute or delete the change set, or set STACK to another name",
        )
    if not stack.is_rotator:
        raise Problem(f"the stack {stack.name} is not a rotator", "set STACK to another name")


def settled(cli: Cli, name: str) -> Stack | None:
    """Return the stack once CloudFormation has finished, None if it is gone; raises Problem after an hour."""
    return _awaited(cli, name, lambda stack: not stack.is_changing)


def _awaited(cli: Cli, name: str, is_done: Callable[[Stack], bool]) -> Stack | None:
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


def first_failure(cli: Cli, stack_id: str) -> Failure | None:
    """Return the first failure of the stack's last operation, None if nothing failed.

    The reason is a text of AWS, the only one that is printed, because nothing else says what to fix. It may
    quote the template's parameters and its resources. These contain no secret: CloudFormation knows only the
    secret's ARN.
    """
    try:
        events = cli.read(
            *("cloudformation", "describe-stack-events", "--stack-name", stack_id),
            *("--query", f"StackEvents[].[{', '.join(_EVENT_MEMBERS)}]"),
        )
    except CliError as error:
        return Failure("", str(error.problem("the reason of the failure could not be read")))
    failure = None
    for name, status, reason, physical_id in events or []:  # the newest first
        if status.endswith("_FAILED"):
            failure = Failure(name, " ".join(str(reason or "no reason was given").split()))
        if physical_id == stack_id and status in _BEGINNINGS:
            break
    return failure


def delete_change_sets(cli: Cli, name: str, *, since: int) -> None:
    """Delete the stack's change sets that the CLI made and did not execute; print a line if that fails.

    Args:
        cli: Where the stack is.
        name: The stack's name.
        since: Seconds since 1970. Older change sets are kept, because a colleague may be reviewing them.
    """
    of_stack = ("--stack-name", name)
    query = "Summaries[].[ChangeSetName, ExecutionStatus]"
    try:
        found = cli.read("cloudformation", "list-change-sets", *of_stack, "--query", query)
        for change_set, status in found or []:
            made_at = change_set.removeprefix(_CHANGE_SET)
            if status in _NOT_EXECUTED and made_at.isdecimal() and int(made_at) >= since:
                cli.run("cloudformation", "delete-change-set", *of_stack, "--change-set-name", change_set)
    except CliError as error:
        print(error.problem("the change set that was not executed could not be deleted"))


def delete(cli: Cli, stack: Stack) -> None:
    """Delete the stack and wait until it is gone; raises Problem with the first failure."""
    try:
        cli.run("cloudformation", "delete-stack", "--stack-name", stack.id)
    except CliError as error:
        raise error.problem(f"the stack {stack.name} could not be deleted", exit_code=1) from None
    left = _awaited(cli, stack.id, lambda stack: stack.status == "DELETE_FAILED")
    if left:
        failure = first_failure(cli, stack.id)
        fix = "fix the cause"
        if failure and failure.logical_id == "ConsumerPolicy":  # IAM deletes no policy that is attached
            fix = "detach the policy from every role that uses it"
        raise Problem(
            f"the stack {stack.name} could not be deleted: {failure or left.status}",
            f"{fix}, then make undeploy STACK={stack.name} again",
            exit_code=1,
        )

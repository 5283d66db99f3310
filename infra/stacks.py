"""A CloudFormation stack, through the AWS CLI: what it is, what failed in it, its end."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from infra.aws_cli import Cli, CliError
from infra.command import Problem

POLL_SECONDS = 3
LONGEST_WAIT = 3600
"""Seconds for CloudFormation to finish what it does."""

REVIEW = "REVIEW_IN_PROGRESS"
"""A stack that has nothing but a change set: one that was refused to us, or that a colleague reads."""

LEFTOVERS = frozenset({"ROLLBACK_COMPLETE", "ROLLBACK_FAILED"})
"""What a creation that failed leaves behind: it can only be deleted."""

_WITHOUT_OUTPUTS = ("CREATE_IN_PROGRESS", "CREATE_FAILED", "ROLLBACK_", "DELETE_")
"""What statuses begin with whose stacks have no outputs, or need not have them."""

_OF_AN_EVENT = ("LogicalResourceId", "ResourceStatus", "ResourceStatusReason", "PhysicalResourceId")
_BEGINNINGS = ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,127}")


@dataclass(frozen=True)
class Stack:
    """A stack as it was when it was looked at."""

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
        """Whether CloudFormation is at work on it."""
        return self.status.endswith("_IN_PROGRESS") and self.status != REVIEW

    @property
    def is_rotator(self) -> bool:
        """Whether our template made it, told by its outputs, or by its description while it has none."""
        if self.status.startswith(_WITHOUT_OUTPUTS):
            return self.description.startswith("Rotator:")
        return "FunctionName" in self.outputs and self.outputs.get("LogGroupName") == f"/rotator/{self.name}"


def check_name(name: str, command: str) -> str:
    """The name, if a stack may have it; raises Problem.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateStack.html
    """
    if not name:
        raise Problem("STACK is missing", f"for example: make {command} STACK=rotator")
    if not _NAME.fullmatch(name):
        raise Problem(
            "STACK is not a stack's name",
            "take letters, digits and hyphens, a letter first, at most 128 of them: STACK=rotator",
        )
    return name


def find(cli: Cli, name: str) -> Stack | None:
    """The stack of this name or id, None if there is none; raises Problem if that cannot be told."""
    try:
        found = cli.read("cloudformation", "describe-stacks", "--stack-name", name, "--query", "Stacks[0]")
    except CliError as error:
        if error.code == "ValidationError" and "does not exist" in error.said:
            return None
        raise error.problem(f"the stack {name} could not be looked at") from None
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


def existing(cli: Cli, name: str) -> Stack:
    """The stack of this name; raises Problem if there is none."""
    stack = find(cli, name)
    if stack is None:
        region = cli.environ["AWS_REGION"]
        raise Problem(f"there is no stack {name} in {region}", "check STACK, the account and the Region")
    return stack


def check_ours(stack: Stack) -> None:
    """See that a stack may be touched; raises Problem if somebody else's may be in it."""
    if stack.status == REVIEW:
        raise Problem(
            f"the stack {stack.name} has a change set that was not executed",
            "execute or delete it, or give another STACK",
        )
    if not stack.is_rotator:
        raise Problem(f"the stack {stack.name} is not a rotator", "give another STACK")


def _pairs(entries: list[dict[str, str]] | None, key: str, value: str) -> dict[str, str]:
    return {entry[key]: entry.get(value, "") for entry in entries or []}


def settled(cli: Cli, name: str) -> Stack | None:
    """The stack once CloudFormation has finished with it, None if it is gone; raises Problem."""
    return _awaited(cli, name, lambda stack: not stack.is_changing)


def _awaited(cli: Cli, name: str, is_over: Callable[[Stack], bool]) -> Stack | None:
    end = time.monotonic() + LONGEST_WAIT
    while (stack := find(cli, name)) and not is_over(stack):
        if time.monotonic() > end:
            raise Problem(
                f"the stack is {stack.status} for an hour", "look at it in the console", exit_code=1
            )
        time.sleep(POLL_SECONDS)
    return stack


def first_failure(cli: Cli, stack_id: str) -> str | None:
    """The logical id and the reason of what failed first in the stack's last operation.

    The reason is AWS's own text, the only one that is printed: nothing else says what to mend. What it may
    quote are the template's parameters and the resources made of them, and those hold no secret: the secret
    is known to CloudFormation by its ARN only.
    """
    events = cli.read(
        *("cloudformation", "describe-stack-events", "--stack-name", stack_id),
        *("--query", f"StackEvents[].[{', '.join(_OF_AN_EVENT)}]"),
    )
    failed = None
    for name, status, reason, physical_id in events or []:  # the newest first
        if status.endswith("_FAILED"):
            failed = f"{name}: {_one_line(reason)}"
        if physical_id == stack_id and status in _BEGINNINGS:
            break
    return failed


def _one_line(reason: Any) -> str:
    return " ".join(str(reason or "no reason was given").split())


def delete(cli: Cli, stack: Stack) -> None:
    """Delete the stack and wait until it is gone; raises Problem with what failed."""
    try:
        cli.run("cloudformation", "delete-stack", "--stack-name", stack.id)
    except CliError as error:
        raise error.problem("the stack could not be deleted", exit_code=1) from None
    left = _awaited(cli, stack.id, lambda stack: stack.status == "DELETE_FAILED")
    if left:
        failed = first_failure(cli, stack.id) or left.status
        again = f"then make undeploy STACK={stack.name} again"
        raise Problem(f"the stack could not be deleted: {failed}", f"{_mend(failed)}, {again}", exit_code=1)


def _mend(failed: str) -> str:
    """What to do about what could not be deleted; IAM deletes no policy that somebody has."""
    if failed.startswith("ConsumerPolicy:"):
        return "detach it from every role that has it"
    return "mend that"

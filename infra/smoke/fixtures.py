"""The fixtures of the checks of ``make smoke``: the account, one stack in it, and new resources.

Each resource that a check creates is registered here and removed at the end, also after a crash.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from infra.command import Problem
from rotator.adapters.runtime import sqs
from rotator.adapters.runtime.aws_client import keep_sdk_quiet

MANY_RETRIES = Config(retries={"mode": "standard", "total_max_attempts": 10})
"""Parameter Store allows few writes per second, and a check needs a hundred."""

NO_RETRY = Config(retries={"total_max_attempts": 1})
"""For calls that AWS is expected to refuse."""


class Different(Exception):
    """AWS behaves differently than expected. The text says how and never contains a value."""


class NotHere(Exception):
    """A check cannot be made on this stack; the text says why."""


@dataclass(frozen=True, kw_only=True)
class Ground:
    """An account and a stack in it, and a random ``run_id`` in the names of all resources of the checks."""

    session: Any
    account: str
    region: str
    outputs: Mapping[str, str]
    parameters: Mapping[str, str]
    resources: Mapping[str, str]
    run_id: str
    removals: dict[str, Callable[[], object]] = field(default_factory=dict)

    @property
    def scratch(self) -> str:
        """Return the name of the resources that the checks create, or its beginning."""
        return f"rotator-smoke-{self.run_id}"

    def client(self, service: str, config: Config = MANY_RETRIES) -> Any:
        """Return a new client in the account's Region."""
        return self.session.client(service, region_name=self.region, config=config)

    def new_name(self, what: str) -> str:
        """Return an unused name for a parameter, which is deleted at the end."""
        name = f"/rotator-smoke/{self.run_id}/{what}"
        self.at_the_end(name, partial(self.client("ssm").delete_parameters, Names=[name]))
        return name

    def at_the_end(self, what: str, remove: Callable[[], object]) -> None:
        """Remove a resource at the end, if it exists by then. Call it before creating the resource."""
        self.removals[what] = remove

    def arn(self, service: str, resource: str) -> str:
        """Return the ARN of a resource in this account, Region and partition."""
        partition = self.outputs["FunctionRoleArn"].split(":")[1]
        return f"arn:{partition}:{service}:{self.region}:{self.account}:{resource}"

    @property
    def token_name(self) -> str:
        """Return the stack's token parameter, with multiple rotations a possible name of one."""
        return self.outputs.get("ParameterName") or f"{self.parameters['ParameterPrefix']}/smoke"


def _is_removed(remove: Callable[[], object]) -> bool:
    try:
        remove()
    except (ClientError, BotoCoreError) as error:
        return code_of(error) in sqs.GONE | {"ResourceNotFoundException"}
    return True


@dataclass(frozen=True)
class Check:
    """A check of AWS: its id, the expected behaviour, and a function that verifies it."""

    id: str
    expected: str
    verify: Callable[[Ground], str]

    def __call__(self, ground: Ground) -> str:
        """Verify it and return what was found; raises Different or NotHere."""
        return self.verify(ground)


def check(expected: str) -> Callable[[Callable[[Ground], str]], Check]:
    """Make a Check of a function, with its name as the id; ``expected`` as in infra/docs/verification.md."""
    return lambda verify: Check(verify.__name__.replace("_", "-"), expected, verify)


def needed(value: str | None, lack: str, parameter: str) -> str:
    """Return an optional value of the stack; raises NotHere if there is none."""
    if not value:
        raise NotHere(f"the stack {lack}; deploy one with {parameter} to check this")
    return value


def find_ground(account: str, stack: str) -> Ground:
    """Return the stack after comparing the caller's account with ``account``; raises Problem."""
    failure, advice = "AWS did not accept the credentials", "log in, or set AWS_PROFILE"
    try:
        keep_sdk_quiet()
        session = boto3.session.Session()
        region = os.environ.get("AWS_REGION") or session.region_name
        if not region:
            raise Problem("no AWS Region is set", "set AWS_REGION")
        caller = session.client("sts", region_name=region).get_caller_identity()["Account"]
        if caller != account:
            step = "use credentials of the account to check, or correct ACCOUNT"
            raise Problem(f"the credentials are of account {caller}, not {account}", step)
        failure, advice = f"the stack {stack} could not be read", "check its name and the Region"
        cloudformation = session.client("cloudformation", region_name=region)
        found = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]
        pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack)
        resources = [resource for page in pages for resource in page["StackResourceSummaries"]]
    except (ClientError, BotoCoreError, OSError, EOFError) as error:  # the last two: see aws_errors
        raise Problem(f"{failure}: {code_of(error)}", advice) from None
    return Ground(
        session=session,
        account=account,
        region=region,
        outputs={output["OutputKey"]: output["OutputValue"] for output in found.get("Outputs", [])},
        parameters={p["ParameterKey"]: p.get("ParameterValue", "") for p in found.get("Parameters", [])},
        resources={r["LogicalResourceId"]: r.get("PhysicalResourceId", "") for r in resources},
        run_id=secrets.token_hex(6),
    )


@contextmanager
def cleaned(ground: Ground) -> Iterator[Ground]:
    """Yield the ground and then remove what the checks created; raises Problem with the names of the rest."""
    try:
        yield ground
    finally:
        if left := [what for what, remove in ground.removals.items() if not _is_removed(remove)]:
            raise Problem(
                f"these resources could not be deleted: {' '.join(left)}", "delete them", exit_code=1
            )


def code_of(error: Exception) -> str:
    """Return the code or the class of an error, never its text, which may quote a value."""
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code", "Unknown"))
    return type(error).__name__


def refusal(call: Callable[..., Any], **request: Any) -> str | None:
    """Make a call, and return the error code if AWS refuses it, None if it succeeds."""
    try:
        call(**request)
    except ClientError as error:
        return code_of(error)
    return None


def expect_refusal(code: str, call: Callable[..., Any], **request: Any) -> str:
    """Make a call that AWS must refuse with this code, and return the code; raises Different."""
    found = refusal(call, **request)
    if found != code:
        raise Different(found or "the call succeeded")
    return found

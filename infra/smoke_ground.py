"""What the checks of ``make smoke`` stand on: the account, one stack in it, and things of their own.

Everything that a check creates has a name that it got here, and is removed at the end, whatever happened.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from infra.command import Problem

PATIENT = Config(retries={"mode": "standard", "total_max_attempts": 10})
"""Parameter Store takes few writes a second, and a hundred are needed."""

ONCE = Config(retries={"total_max_attempts": 1})
"""For calls whose refusals are the point."""

_DELETED_AT_ONCE = 10
"""How many names DeleteParameters takes."""


class Different(Exception):
    """A check found something else than expected; the text says what, and never holds a value."""


class NotHere(Exception):
    """A check cannot be made on this stack; the text says why."""


@dataclass(frozen=True, kw_only=True)
class Ground:
    """An account and a stack. ``scratch`` begins every name that the checks create."""

    session: Any
    account: str
    region: str
    outputs: Mapping[str, str]
    parameters: Mapping[str, str]
    resources: Mapping[str, str]
    scratch: str
    created: list[str] = field(default_factory=list)
    removals: dict[str, Callable[[], object]] = field(default_factory=dict)

    def client(self, service: str, config: Config = PATIENT) -> Any:
        """Make a client in the account's Region."""
        return self.session.client(service, region_name=self.region, config=config)

    def new_name(self, what: str) -> str:
        """A parameter's name that nobody else uses; the parameter will be deleted at the end."""
        name = f"/{'/'.join(self.scratch.rsplit('-', 1))}/{what}"  # /rotator-smoke/<random>/<what>
        self.created.append(name)
        return name

    def at_the_end(self, what: str, remove: Callable[[], object]) -> None:
        """Have something removed at the end, which may be there then or not."""
        self.removals[what] = remove

    def arn(self, service: str, resource: str) -> str:
        """The ARN of a resource in this account, Region and partition."""
        partition = self.outputs["FunctionRoleArn"].split(":")[1]
        return f"arn:{partition}:{service}:{self.region}:{self.account}:{resource}"

    @property
    def token_name(self) -> str:
        """The token parameter of the stack, or one that a rotation of it could have."""
        return self.outputs.get("ParameterName") or f"{self.parameters['ParameterPrefix']}/smoke"

    def service(self, name: str) -> str:
        """A service's name in ``kms:ViaService``, which ends otherwise in China."""
        china = self.outputs["FunctionRoleArn"].startswith("arn:aws-cn:")
        return f"{name}.{self.region}.amazonaws.com{'.cn' if china else ''}"

    def last_hour(self) -> dict[str, datetime]:
        """The last hour as CloudWatch takes it."""
        now = datetime.now(UTC)
        return {"StartTime": now - timedelta(hours=1), "EndTime": now}

    def remove_everything(self) -> list[str]:
        """Delete whatever the checks may have created; returns what is still there."""
        ssm, own = self.client("ssm"), self.scratch
        cloudwatch, cloudformation = self.client("cloudwatch"), self.client("cloudformation")
        left = []
        for first in range(0, len(self.created), _DELETED_AT_ONCE):
            names = self.created[first : first + _DELETED_AT_ONCE]
            try:
                ssm.delete_parameters(Names=names)
            except (ClientError, BotoCoreError):
                left += names
        removals: dict[str, Callable[[], object]] = {
            f"the alarm {own}": lambda: cloudwatch.delete_alarms(AlarmNames=[own]),
            f"the stack {own}": lambda: cloudformation.delete_stack(StackName=own),
            **self.removals,
        }
        for what, remove in removals.items():
            try:
                remove()
            except (ClientError, BotoCoreError):
                left.append(what)
        return left


def find_ground(account: str, stack: str) -> Ground:
    """Make sure that this is the account, and find the stack in it; raises Problem. Changes nothing."""
    try:
        session: Any = boto3.session.Session()
        region = os.environ.get("AWS_REGION") or session.region_name
        if not region:
            raise Problem("no AWS Region is set", "set AWS_REGION")
        caller = session.client("sts", region_name=region).get_caller_identity()["Account"]
    except (ClientError, BotoCoreError) as error:
        raise Problem(
            f"AWS does not know who you are: {code_of(error)}", "log in, or set AWS_PROFILE"
        ) from None
    if caller != account:
        raise Problem(
            f"these credentials are of account {caller}, not {account}", "give the account you mean"
        )
    cloudformation = session.client("cloudformation", region_name=region)
    try:
        found = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]
        pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack)
        resources = [resource for page in pages for resource in page["StackResourceSummaries"]]
    except (ClientError, BotoCoreError) as error:
        raise Problem(
            f"the stack {stack} cannot be looked at: {code_of(error)}", "check its name and the Region"
        ) from None
    return Ground(
        session=session,
        account=account,
        region=region,
        outputs={output["OutputKey"]: output["OutputValue"] for output in found.get("Outputs", [])},
        parameters={p["ParameterKey"]: p.get("ParameterValue", "") for p in found.get("Parameters", [])},
        resources={r["LogicalResourceId"]: r.get("PhysicalResourceId", "") for r in resources},
        scratch=f"rotator-smoke-{secrets.token_hex(6)}",
    )


@contextmanager
def cleaned(ground: Ground) -> Iterator[Ground]:
    """The ground while the body runs; what was created on it is removed, also after a crash.

    Raises Problem with the names of what could not be removed.
    """
    try:
        yield ground
    finally:
        left = ground.remove_everything()
        if left:
            raise Problem(f"still there: {' '.join(left)}", "delete that by hand", exit_code=1)


def code_of(error: Exception) -> str:
    """AWS's code of an error, or the SDK's name for it; never its text, which may quote a value."""
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code", "Unknown"))
    return type(error).__name__


def refused_with(call: Callable[..., Any], **request: Any) -> str | None:
    """The code with which AWS refuses a call, None if it is done."""
    try:
        call(**request)
    except ClientError as error:
        return code_of(error)
    return None


def expect_refusal(code: str, call: Callable[..., Any], **request: Any) -> str:
    """Make a call that AWS must refuse with the code; raises Different."""
    found = refused_with(call, **request)
    if found != code:
        raise Different(found or "it was done")
    return found

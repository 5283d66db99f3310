"""Scripted answers to the checks of ``make smoke`` of change events, and their expected findings."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from infra.smoke import change_events
from infra.smoke.fixtures import Ground
from rotator.devstack.aws_emulators import ACCOUNT
from smoke_ground import refused

SERVICE = f"arn:aws:ecs:eu-central-1:{ACCOUNT}:service/web/api"
PATTERN = {"source": ["aws.ssm"], "detail": {"name": ["/smoked/token"], "type": ["SecureString"]}}
RULE = {
    "describe_rule": {"EventPattern": json.dumps(PATTERN)},
    "create_queue": {"QueueUrl": "the-queue"},
    "put_rule": {},
    "put_targets": {"FailedEntryCount": 0},
    "put_parameter": {"Version": 1},
}
MACHINE = {"describe_state_machine": {"roleArn": f"arn:aws:iam::{ACCOUNT}:role/smoked-RedeployRole-1"}}


def reported(name: str, **more: str) -> Any:
    """The answer of a queue with one event of a parameter below the check's own path."""
    body = {"detail": {"name": f"/rotator-smoke/1/{name}", **more}}
    return {"Messages": [{"Body": json.dumps(body)}]}


def with_the_value() -> dict[str, Any]:
    """A world in which the event repeats what was written."""
    written: list[str] = []

    def put(**request: Any) -> Any:
        written.append(request["Value"])
        return {"Version": 1}

    def receive(**_: Any) -> Any:
        return reported("changes", value=written[-1])

    return {**RULE, "put_parameter": put, "receive_message": receive}


def simulated(*services: str) -> Callable[..., Any]:
    """IAM's simulator of a role that may do anything with these services."""

    def simulate(*, ResourceArns: list[str], **_: Any) -> Any:  # noqa: N803 - AWS's
        decision = "allowed" if ResourceArns[0] in services else "implicitDeny"
        return {"EvaluationResults": [{"EvalDecision": decision}]}

    return simulate


OTHER = f"arn:aws:ecs:eu-central-1:{ACCOUNT}:service/rotator-smoke-1/x"

WORLDS: dict[str, tuple[Callable[[Ground], str], dict[str, Any], str | None]] = {
    "change sent": (change_events.change_events, {**RULE, "receive_message": reported("changes")}, None),
    "change not sent": (change_events.change_events, {**RULE, "receive_message": {}}, "no event arrived in"),
    "status sent": (
        change_events.change_events,
        {**RULE, "receive_message": reported("changes/status")},
        "an event for another parameter arrived",
    ),
    "value sent": (change_events.change_events, with_the_value(), "an event contains the value"),
    "no target": (
        change_events.change_events,
        {**RULE, "put_targets": {"FailedEntryCount": 1}},
        "the rule does not accept the queue",
    ),
    "no queue": (
        change_events.change_events,
        {**RULE, "create_queue": refused("AccessDenied")},
        "AccessDenied",
    ),
    "one service": (
        change_events.redeploy_role,
        {**MACHINE, "simulate_principal_policy": simulated(SERVICE)},
        None,
    ),
    "any service": (
        change_events.redeploy_role,
        {**MACHINE, "simulate_principal_policy": simulated(SERVICE, OTHER)},
        "ecs:UpdateService is allowed on",
    ),
    "no service": (
        change_events.redeploy_role,
        {**MACHINE, "simulate_principal_policy": simulated()},
        "ecs:UpdateService is implicitDeny",
    ),
}

"""Change events: the rule, its targets, and the events that match it.

Whether an event matches is EventBridge's to say: the embedded one's TestEventPattern is asked. The events are
AWS's own samples: https://docs.aws.amazon.com/systems-manager/latest/userguide/monitoring-systems-manager-event-examples.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

import guides
from rotator.devstack.aws_emulators import ADMINISTRATOR
from rotator.devstack.deployment import Account
from template import Stack

ONE = {"SecretArn": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:healthwise/client-AbCdEf"}
MANY = {
    "RotationsPath": "/rotator/rotations",
    "SecretPrefix": "healthwise/",
    "ParameterPrefix": "/healthwise",
    "AllowedHosts": "auth.healthwise.net",
}
FUNCTION = "arn:aws:lambda:eu-central-1:123456789012:function:reload:live"
QUEUE = "arn:aws:sqs:eu-central-1:123456789012:token-changes"
TARGETS = {"ChangeFunctionArn": FUNCTION, "ChangeQueueArn": QUEUE, "RedeployService": "web/api"}
RULE_ARN = "arn:aws:events:eu-central-1:123456789012:rule/rotator-token-changed"

ADDED = {
    "ChangeFunctionArn": {"TokenChanged", "TokenChangedInvokes"},
    "ChangeQueueArn": {"TokenChanged"},
    "RedeployService": {"TokenChanged", "TokenChangedRole", "Redeploy", "RedeployRole"},
}
MAX_NAMED_FAILURES = {
    "ChangeFunctionArn": {"Id": "function", "Arn": FUNCTION},
    "ChangeQueueArn": {"Id": "queue", "Arn": QUEUE},
    "RedeployService": {"Id": "redeploy", "Arn": "<Redeploy>", "RoleArn": "<TokenChangedRole.Arn>"},
}
COMBINATIONS = [(), *((name,) for name in TARGETS), ("ChangeQueueArn", "RedeployService"), tuple(TARGETS)]


@pytest.mark.parametrize("rotations", [ONE, MANY], ids=["one", "many"])
@pytest.mark.parametrize("given", COMBINATIONS, ids=" ".join)
def test_each_target_adds_only_its_own_resources(given: tuple[str, ...], rotations: dict[str, str]) -> None:
    stack = Stack({**rotations, **{name: TARGETS[name] for name in given}})
    more = stack.resources.keys() - Stack(rotations).resources.keys()
    assert stack.refused == []
    assert more == set().union(*(ADDED[name] for name in given))
    if given:
        assert stack.resources["TokenChanged"]["Targets"] == [MAX_NAMED_FAILURES[name] for name in given]


def test_rule_uses_the_default_bus_and_unchanged_events() -> None:
    rule = Stack({**ONE, **TARGETS}).resources["TokenChanged"]
    assert "EventBusName" not in rule
    assert not any(key.startswith("Input") for target in rule["Targets"] for key in target)


def test_failed_notification_raises_no_alarm() -> None:
    stack = Stack({**ONE, **TARGETS})
    assert not any("DeadLetterConfig" in target for target in stack.resources["TokenChanged"]["Targets"])
    watched = {p["Namespace"] for p in stack.resources.values() if "AlarmName" in p}
    assert watched == {"Rotator", "AWS/SQS"}


def test_failed_notifications_are_on_the_dashboard() -> None:
    stack = Stack({**ONE, **TARGETS})
    assert stack.resources["TokenChanged"]["Name"] == "rotator-token-changed"
    widgets = json.loads(stack.resources["Dashboard"]["DashboardBody"])["widgets"]
    shown = [metric[:4] for each in widgets for metric in each["properties"].get("metrics", [])]
    assert ["AWS/Events", "FailedInvocations", "RuleName", "rotator-token-changed"] in shown


def test_service_is_redeployed_by_one_retried_call() -> None:
    machine = Stack({**ONE, **TARGETS}).resources["Redeploy"]
    definition = json.loads(machine["DefinitionString"])
    assert definition["States"].keys() == {definition["StartAt"]}
    [step] = definition["States"].values()
    assert step["Resource"] == "arn:aws:states:::aws-sdk:ecs:updateService"
    assert step["Parameters"] == {"Cluster": "web", "Service": "api", "ForceNewDeployment": True}
    assert (step["Retry"], step["End"]) == ([{"ErrorEquals": ["States.ALL"]}], True)


# What the rule lets through.


def event(name: str, operation: str = "Update", kind: str = "SecureString", **changed: Any) -> dict[str, Any]:
    """An event as AWS documents it; its sample has a name, and a type."""
    sample = {
        "version": "0",
        "id": "9547ef2d-3b7e-4057-b6cb-5fdf09ee7c8f",
        "detail-type": "Parameter Store Change",
        "source": "aws.ssm",
        "account": "123456789012",
        "time": "2017-05-22T16:44:48Z",
        "region": "eu-central-1",
        "resources": [f"arn:aws:ssm:eu-central-1:123456789012:parameter{name}"],
        "detail": {"operation": operation, "name": name, "type": kind, "description": "Sample Parameter"},
    }
    return {**sample, **changed}


@pytest.fixture(scope="session")
def matches(ministack_endpoint: str) -> Callable[[dict[str, str], dict[str, Any]], bool]:
    """Whether a stack's rule lets an event through."""
    events = Account(ministack_endpoint, ADMINISTRATOR).client("events")

    def ask(rotations: dict[str, str], happened: dict[str, Any]) -> bool:
        pattern = Stack({**rotations, **TARGETS}).resources["TokenChanged"]["EventPattern"]
        answer = events.test_event_pattern(EventPattern=json.dumps(pattern), Event=json.dumps(happened))
        return bool(answer["Result"])

    return ask


TOKEN = "/healthwise/token"
POLICY_ACTION = {"detail-type": "Parameter Store Policy Action"}
THROUGH = [
    pytest.param(ONE, event(TOKEN), id="one's renewal"),
    pytest.param(ONE, event(TOKEN, "Create"), id="one's first token"),
    pytest.param(ONE, event(TOKEN, resources=[]), id="whatever the resources"),
    pytest.param(MANY, event("/healthwise/a/token"), id="any of many"),
    pytest.param(MANY, event("/healthwise/b", "Create"), id="the first token of any of many"),
]
STOPPED = [
    pytest.param(ONE, event(f"{TOKEN}/status", kind="String"), id="one's status"),
    pytest.param(ONE, event(f"{TOKEN}/status"), id="what is below the token"),
    pytest.param(ONE, event(TOKEN, "Delete"), id="the token's end"),
    pytest.param(ONE, event(TOKEN, "LabelParameterVersion"), id="a label on the token"),
    pytest.param(ONE, event(f"{TOKEN}s"), id="a name that begins alike"),
    pytest.param(ONE, event("/Healthwise/token"), id="another case"),
    pytest.param(ONE, event("healthwise/token"), id="a name without the slash"),
    pytest.param(ONE, event("/other"), id="another parameter"),
    pytest.param(ONE, event(TOKEN, **POLICY_ACTION), id="a policy's action on the token"),
    pytest.param(ONE, event(TOKEN, account="210987654321"), id="another account's token"),
    pytest.param(ONE, event(TOKEN, source="my.ssm"), id="another source"),
    pytest.param(MANY, event("/healthwise/a/token/status", kind="String"), id="one of many's status"),
    pytest.param(MANY, event("/healthwise/a/list", kind="StringList"), id="a list below the prefix"),
    pytest.param(MANY, event("/healthwise/a/token", "Delete"), id="the end of one of many"),
    pytest.param(MANY, event("/healthwise"), id="the prefix itself"),
    pytest.param(MANY, event("/healthwise-of-others/token"), id="a prefix that begins alike"),
    pytest.param(MANY, event("/rotator/rotations/a"), id="a document"),
]


@pytest.mark.parametrize(("rotations", "happened"), THROUGH)
def test_token_write_matches_the_rule(
    matches: Callable[..., bool], rotations: dict[str, str], happened: dict[str, Any]
) -> None:
    assert matches(rotations, happened)


@pytest.mark.parametrize(("rotations", "happened"), STOPPED)
def test_other_events_do_not_match_the_rule(
    matches: Callable[..., bool], rotations: dict[str, str], happened: dict[str, Any]
) -> None:
    assert not matches(rotations, happened)


# What the guide says.

GUIDE = guides.text("change-events.md")


def test_the_guide_deploys_every_target() -> None:
    assert set(re.findall(r'SET="(\w+)=', GUIDE)) == set(TARGETS)


def test_printed_queue_policy_allows_only_the_rule() -> None:
    printed = re.search(r"```json\n(.*?)```", GUIDE, re.DOTALL)
    assert printed
    assert json.loads(printed[1]) == {
        "Sid": "TokenChanged",
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": QUEUE,
        "Condition": {"ArnEquals": {"aws:SourceArn": RULE_ARN}},
    }
    assert f'SET="ChangeQueueArn={QUEUE}"' in GUIDE

"""Checks of ``make smoke`` on what the stack tells of changes, with a rule and a queue of their own.

https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-paramstore-cwe.html
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from infra.smoke_ground import Different, Ground, NotHere, code_of
from infra.smoke_roles import expect

PATIENCE = 300.0
"""Seconds that a new rule and the event have; AWS says only that rules may take a while."""

LONG_POLL = 20
"""Seconds; the longest that SQS waits for a message."""

_GONE = frozenset(
    {"ResourceNotFoundException", "AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"}
)


def change_events(ground: Ground) -> str:
    """The write of a token reaches a queue by the stack's rule, the one of its status does not."""
    if "TokenChanged" not in ground.resources:
        raise NotHere("the stack tells nobody of changes; deploy one with ChangeQueueArn to check this")
    token, value = ground.new_name("changes"), secrets.token_hex(16)
    status = ground.new_name("changes/status")
    queue = _queue_told_of(ground, token)
    ssm, sqs, begin = ground.client("ssm"), ground.client("sqs"), time.monotonic()
    while True:
        ssm.put_parameter(Name=status, Value=value, Type="String", Overwrite=True)
        ssm.put_parameter(Name=token, Value=value, Type="SecureString", Overwrite=True)
        answer = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=LONG_POLL, MaxNumberOfMessages=10)
        waited = time.monotonic() - begin
        if messages := answer.get("Messages"):
            break
        if waited > PATIENCE:
            raise Different(f"nothing was told in {waited:.0f} s")
    _see(messages, token, value)
    return f"the token's write was told after {waited:.0f} s, and no other"


def redeploy_role(ground: Ground) -> str:
    """The state machine's role may redeploy the one service and no other."""
    machine, service = ground.resources.get("Redeploy"), ground.parameters.get("RedeployService")
    if not machine:
        raise NotHere("the stack redeploys nothing; deploy one with RedeployService to check this")
    role = ground.client("stepfunctions").describe_state_machine(stateMachineArn=machine)["roleArn"]
    expect(ground, role, "ecs:UpdateService", ground.arn("ecs", f"service/{service}"), allowed=True)
    expect(ground, role, "ecs:UpdateService", ground.arn("ecs", f"service/{ground.scratch}/x"), allowed=False)
    return "allowed for its service, denied for another"


def _queue_told_of(ground: Ground, name: str) -> str:
    """A new queue to which a new rule with the stack's pattern, but for the name, sends; returns its URL."""
    events, sqs, own = ground.client("events"), ground.client("sqs"), ground.scratch
    pattern = json.loads(events.describe_rule(Name=ground.resources["TokenChanged"])["EventPattern"])
    pattern["detail"]["name"] = [{"prefix": name}]
    rule, queue = ground.arn("events", f"rule/{own}"), ground.arn("sqs", own)
    let_in = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue,
        "Condition": {"ArnEquals": {"aws:SourceArn": rule}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [let_in]})
    ground.at_the_end(f"the rule {own}", lambda: _remove_rule(events, own))
    ground.at_the_end(f"the queue {own}", lambda: _remove_queue(sqs, own))
    url = sqs.create_queue(QueueName=own, Attributes={"Policy": policy})["QueueUrl"]
    events.put_rule(Name=own, EventPattern=json.dumps(pattern))
    failed = events.put_targets(Rule=own, Targets=[{"Id": "queue", "Arn": queue}])
    if failed.get("FailedEntryCount"):
        raise Different("the rule does not take the queue for a target")
    return str(url)


def _see(messages: list[Mapping[str, Any]], token: str, value: str) -> None:
    """See that every event is of the token, and none holds the value; raises Different."""
    for message in messages:
        name = json.loads(message["Body"])["detail"]["name"]
        if name != token:
            raise Different("the write of another parameter was told")
        if value in message["Body"]:
            raise Different("an event holds the value")


def _remove_rule(events: Any, name: str) -> None:
    """Delete a rule, if it is there."""
    try:
        events.remove_targets(Rule=name, Ids=["queue"])
        events.delete_rule(Name=name)
    except ClientError as error:
        if code_of(error) not in _GONE:
            raise


def _remove_queue(sqs: Any, name: str) -> None:
    """Delete a queue, if it is there."""
    try:
        sqs.delete_queue(QueueUrl=sqs.get_queue_url(QueueName=name)["QueueUrl"])
    except ClientError as error:
        if code_of(error) not in _GONE:
            raise

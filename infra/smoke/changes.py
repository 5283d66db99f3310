"""Checks of ``make smoke`` on the stack's change events, with a rule and a queue of their own.

https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-paramstore-cwe.html
"""

from __future__ import annotations

import json
import secrets
import time

from infra.smoke.fixtures import Different, Ground, NotHere, check
from infra.smoke.roles import expect_only

LONGEST_WAIT_SECONDS = 300.0
"""The longest time to wait for the first event of a new rule. AWS documents no limit."""

LONG_POLL_SECONDS = 20
"""The longest that SQS waits for a message."""


@check("the stack's rule sends an event without the value when a token is written, and none for its status")
def change_events(ground: Ground) -> str:
    """Write a status and a token until an event arrives, and read the events."""
    if "TokenChanged" not in ground.resources:
        raise NotHere("the stack sends no change events; deploy one with ChangeQueueArn to check this")
    token, value = ground.new_name("changes"), secrets.token_hex(16)
    status = ground.new_name("changes/status")
    queue = _queue_of_changes(ground, token)
    ssm, sqs, begin = ground.client("ssm"), ground.client("sqs"), time.monotonic()
    while True:
        ssm.put_parameter(Name=status, Value=value, Type="String", Overwrite=True)
        ssm.put_parameter(Name=token, Value=value, Type="SecureString", Overwrite=True)
        answer = sqs.receive_message(
            QueueUrl=queue, WaitTimeSeconds=LONG_POLL_SECONDS, MaxNumberOfMessages=10
        )
        waited = time.monotonic() - begin
        if messages := answer.get("Messages"):
            for body in (message["Body"] for message in messages):
                if json.loads(body)["detail"]["name"] != token:
                    raise Different("an event for another parameter arrived")
                if value in body:
                    raise Different("an event contains the value")
            return f"an event for the token arrived after {waited:.0f} s, and no other event"
        if waited > LONGEST_WAIT_SECONDS:
            raise Different(f"no event arrived in {waited:.0f} s")


@check("the state machine's role may redeploy its service and no other")
def redeploy_role(ground: Ground) -> str:
    """Simulate the role's call for its service and for another."""
    machine, service = ground.resources.get("Redeploy"), ground.parameters.get("RedeployService")
    if not machine:
        raise NotHere("the stack redeploys no service; deploy one with RedeployService to check this")
    role = ground.client("stepfunctions").describe_state_machine(stateMachineArn=machine)["roleArn"]
    own, other = (ground.arn("ecs", f"service/{name}") for name in (service, f"{ground.scratch}/x"))
    expect_only(ground, role, "ecs:UpdateService", own, other)
    return "allowed for its service, denied for another"


def _queue_of_changes(ground: Ground, name: str) -> str:
    """Return the URL of a new queue, to which a new rule sends the events of this parameter name."""
    events, sqs, own = ground.client("events"), ground.client("sqs"), ground.scratch
    pattern = json.loads(events.describe_rule(Name=ground.resources["TokenChanged"])["EventPattern"])
    pattern["detail"]["name"] = [{"prefix": name}]
    rule, queue = ground.arn("events", f"rule/{own}"), ground.arn("sqs", own)
    allow_rule = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue,
        "Condition": {"ArnEquals": {"aws:SourceArn": rule}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allow_rule]})
    # A rule cannot be deleted before its target.
    ground.at_the_end(f"the rule {own}'s target", lambda: events.remove_targets(Rule=own, Ids=["queue"]))
    ground.at_the_end(f"the rule {own}", lambda: events.delete_rule(Name=own))
    ground.at_the_end(
        f"the queue {own}", lambda: sqs.delete_queue(QueueUrl=sqs.get_queue_url(QueueName=own)["QueueUrl"])
    )
    url = sqs.create_queue(QueueName=own, Attributes={"Policy": policy})["QueueUrl"]
    events.put_rule(Name=own, EventPattern=json.dumps(pattern))
    failed = events.put_targets(Rule=own, Targets=[{"Id": "queue", "Arn": queue}])
    if failed.get("FailedEntryCount"):
        raise Different("the rule does not accept the queue as a target")
    return str(url)

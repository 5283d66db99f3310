"""Checks of ``make smoke`` on the stack's change events, with a rule and a queue of their own.

https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-paramstore-cwe.html
"""

from __future__ import annotations

import json
import secrets
import time

from infra.smoke.fixtures import Different, Ground, check, needed
from infra.smoke.roles import as_role, expect_only

LONGEST_WAIT_SECONDS = 300.0
"""The longest time to wait for the first event of a new rule. AWS documents no limit."""

LONG_POLL_SECONDS = 20
"""The longest that SQS waits for a message."""


@check("the stack's rule sends an event without the value when a token is written, and none for its status")
def change_events(ground: Ground) -> str:
    rule = needed(ground.resources.get("TokenChanged"), "sends no change events", "ChangeQueueArn")
    token, value = ground.new_name("changes"), secrets.token_hex(16)
    status = ground.new_name("changes/status")
    queue = _queue_of_changes(ground, rule, token)
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
    machine = needed(ground.resources.get("Redeploy"), "redeploys no service", "RedeployService")
    role = ground.client("stepfunctions").describe_state_machine(stateMachineArn=machine)["roleArn"]
    services = (ground.parameters["RedeployService"], f"{ground.scratch}/x")
    own, other = (ground.arn("ecs", f"service/{name}") for name in services)
    expect_only(as_role(ground, role), "ecs:UpdateService", own, other)
    return "allowed for its service, denied for another"


def _queue_of_changes(ground: Ground, rule_of_stack: str, name: str) -> str:
    """Return the URL of a new queue, to which a rule like the stack's sends the events of this name."""
    events, sqs, own = ground.client("events"), ground.client("sqs"), ground.scratch
    pattern = json.loads(events.describe_rule(Name=rule_of_stack)["EventPattern"])
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

"""Checks of ``make smoke`` on the deployed stack: its parameters, schedule, alarms and log."""

from __future__ import annotations

import json
import re
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from infra import template_parameters
from infra.smoke.fixtures import Different, Ground, NotHere, check, expect_refusal, needed
from infra.smoke.roles import as_role, expect_only

TEMPLATE = (Path(__file__).resolve().parents[1] / "template.yaml").read_text()
ALARMS = re.findall(r"^  (\w+):(?: .*)?\n    Type: AWS::CloudWatch::Alarm$", TEMPLATE, re.MULTILINE)
"""The logical ids of the template's alarms."""

TOKEN_ALARM = "TokenEndsSoon"  # noqa: S105 - a logical id

NOTHING = "Resources:\n  Nothing:\n    Type: AWS::CloudFormation::WaitConditionHandle\n"
"""The resources of a template without costs. Its change sets are never executed."""

LONGEST_WAIT_SECONDS = 300.0
"""The longest time to wait until CloudWatch evaluates a new alarm."""


@check(
    "the schedule's role trusts only the stack's schedule group, may invoke only this function, "
    "and its invocations arrive"
)
def scheduler_role(ground: Ground) -> str:
    schedule = ground.client("scheduler").get_schedule(
        Name=ground.outputs["ScheduleName"], GroupName=ground.outputs["ScheduleGroupName"]
    )
    role, function = schedule["Target"]["RoleArn"], schedule["Target"]["Arn"]
    _expect_trust_in_group(ground, role)
    other = ground.arn("lambda", f"function:{ground.scratch}")
    expect_only(as_role(ground, role), "lambda:InvokeFunction", function, other)
    if schedule["State"] != "ENABLED":
        raise NotHere("the role is right; the schedule is disabled and invokes nothing")
    group, name = ground.outputs["ScheduleGroupName"], ground.outputs["FunctionName"]
    attempts = _points(ground, "AWS/Scheduler", "InvocationAttemptCount", "Sum", ScheduleGroup=group)
    invocations = _points(ground, "AWS/Lambda", "Invocations", "Sum", FunctionName=name)
    sent, run = (sum(point["Sum"] for point in points) for points in (attempts, invocations))
    counts = f"{sent:.0f} events and {run:.0f} runs in the last hour"
    if not sent or not run:
        raise Different(f"the role is right; {counts}")
    return f"the role may invoke only this function; {counts}"


def _expect_trust_in_group(ground: Ground, role: str) -> None:
    """Read who may assume the role; raises Different unless it is the schedules of the stack's group."""
    answer = ground.client("iam").get_role(RoleName=role.rpartition("/")[2])
    statements = answer["Role"]["AssumeRolePolicyDocument"]["Statement"]
    principals = [statement["Principal"] for statement in statements]
    if principals != [{"Service": "scheduler.amazonaws.com"}]:
        raise Different(f"the role trusts {principals}")
    group = ground.arn("scheduler", f"schedule-group/{ground.outputs['ScheduleGroupName']}")
    source = statements[0].get("Condition", {}).get("StringEquals", {}).get("aws:SourceArn")
    if source != group:
        raise Different(f"the role trusts schedules of {source or 'any group'}, not of {group}")


@check("CloudFormation accepts the template's patterns and refuses a wrong value with a ValidationError")
def allowed_pattern(ground: Ground) -> str:
    cloudformation, own = ground.client("cloudformation"), ground.scratch
    ground.at_the_end(f"the stack {own}", lambda: cloudformation.delete_stack(StackName=own))
    template = template_parameters.section(TEMPLATE) + NOTHING
    cloudformation.validate_template(TemplateBody=template)
    valid = {
        "CodeBucket": "code",
        "CodeKey": "rotator.zip",
        "ParameterName": f"/{own}",
        "SecretArn": ground.arn("secretsmanager", f"secret:{own}-AbCdEf"),
    }

    def propose(name: str, **values: str) -> Any:
        return cloudformation.create_change_set(
            StackName=own,
            ChangeSetName=name,
            ChangeSetType="CREATE",
            TemplateBody=template,
            Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in (valid | values).items()],
        )

    propose("valid")
    for name, bad in (("ParameterName", "/aws/x"), ("TokenEndpoint", "http://example.com/token")):
        expect_refusal("ValidationError", propose, name=f"bad-{name}", **{name: bad})
    return "valid values accepted; ValidationError for /aws/x and for an endpoint without TLS"


@check("the alarms exist, the alarm on the token's remaining lifetime is OK, and its metric arrives")
def alarms(ground: Ground) -> str:
    names = {name: value for name, value in ground.resources.items() if name in ALARMS}
    answer = ground.client("cloudwatch").describe_alarms(AlarmNames=list(names.values()))
    states = {alarm["AlarmName"]: alarm["StateValue"] for alarm in answer["MetricAlarms"]}
    if missing := sorted(set(names.values()) - states.keys()):
        raise Different(f"no alarm {', '.join(missing)}")
    if (state := states.get(names.get(TOKEN_ALARM, ""))) != "OK":
        raise Different(f"{TOKEN_ALARM} is {state}")
    service = ground.outputs["FunctionName"]
    points = _points(ground, "Rotator", "TokenSecondsRemaining", "Minimum", service=service)
    if not points:
        raise Different("no data of TokenSecondsRemaining in the last hour")
    return f"{len(states)} alarms, {TOKEN_ALARM} is OK; {len(points)} data points in the last hour"


@check("the topic accepts the alarms' notifications, also if it is encrypted with the stack's own key")
def alarm_actions(ground: Ground) -> str:
    """Read the results of the alarms' last notifications: an encrypted topic may refuse them silently."""
    needed(ground.outputs.get("AlarmTopicArn"), "has no topic", "AlarmEmail")
    done = 0
    for alarm in ALARMS:
        history = ground.client("cloudwatch").describe_alarm_history(
            AlarmName=ground.resources[alarm], HistoryItemType="Action", MaxRecords=10
        )
        for action in history["AlarmHistoryItems"]:
            # CloudWatch reports the result of an action only in this sentence.
            if not action["HistorySummary"].startswith("Successfully"):
                raise Different(f"an action of {alarm} failed")
            done += 1
    if not done:
        raise NotHere("no alarm has notified anyone yet")
    return f"the topic accepted {done} notifications of alarms"


@check(
    "SNS lists an unconfirmed subscription without an ARN, and the alarms' topic has a confirmed subscription"
)
def alarm_subscription(ground: Ground) -> str:
    """Read the topic's subscriptions: an alarm is published even if the topic has none."""
    topic = needed(ground.outputs.get("AlarmTopicArn"), "has no topic", "AlarmEmail")
    pages = ground.client("sns").get_paginator("list_subscriptions_by_topic")
    arns = [
        subscription["SubscriptionArn"]
        for page in pages.paginate(TopicArn=topic)
        for subscription in page["Subscriptions"]
    ]
    confirmed = [arn for arn in arns if arn.startswith("arn:")]
    pending = set(arns) - set(confirmed)
    if unknown := pending - {"PendingConfirmation", "Deleted"}:
        raise Different(f"SNS lists {', '.join(sorted(unknown))} instead of an ARN")
    if not confirmed:
        raise Different(f"none of {len(arns)} subscriptions is confirmed, so alarms do not notify anyone")
    return f"{len(confirmed)} of {len(arns)} subscriptions are confirmed"


@check("an alarm that treats missing data as breaching fires if its metric has no data")
def missing_data(ground: Ground) -> str:
    """Create such an alarm, like token-ends-soon, and wait until it fires."""
    cloudwatch, begin, own = ground.client("cloudwatch"), time.monotonic(), ground.scratch
    ground.at_the_end(f"the alarm {own}", lambda: cloudwatch.delete_alarms(AlarmNames=[own]))
    cloudwatch.put_metric_alarm(
        AlarmName=own,
        Namespace="Rotator",
        MetricName="NeverSent",
        Statistic="Minimum",
        Period=60,
        EvaluationPeriods=2,
        ComparisonOperator="LessThanThreshold",
        Threshold=1,
        TreatMissingData="breaching",
        ActionsEnabled=False,
    )
    while True:
        [alarm] = cloudwatch.describe_alarms(AlarmNames=[own])["MetricAlarms"]
        waited = time.monotonic() - begin
        if alarm["StateValue"] == "ALARM":
            return f"it fired after {waited:.0f} s"
        if waited > LONGEST_WAIT_SECONDS:
            raise Different(f"its state is {alarm['StateValue']} after {waited:.0f} s")
        time.sleep(10)


@check("the function's newest log line is JSON with a level")
def logs_json(ground: Ground) -> str:
    """Read the log of the last hour. Lines of the Lambda platform and metrics have no level."""
    logs = ground.client("logs").get_paginator("filter_log_events")
    begin = int((time.time() - 3600) * 1000)
    pages = logs.paginate(logGroupName=ground.outputs["LogGroupName"], startTime=begin)
    lines = [_json(event["message"]) for page in pages for event in page["events"]]
    own = [x for x in lines if "_aws" not in x and not str(x.get("type", "")).startswith("platform.")]
    if not own:
        raise Different("the function logged nothing in the last hour")
    if "level" not in own[-1]:
        raise Different("the newest line has no level")
    return f"JSON, level {own[-1]['level']}"


def _json(message: str) -> dict[str, Any]:
    with suppress(ValueError):
        if isinstance(line := json.loads(message), dict):
            return line
    raise Different("a line is not a JSON object")


def _points(
    ground: Ground, namespace: str, metric: str, statistic: str, **dimensions: str
) -> list[dict[str, Any]]:
    """Return a metric's data points of the last hour."""
    now = datetime.now(UTC)
    answer = ground.client("cloudwatch").get_metric_statistics(
        Namespace=namespace,
        MetricName=metric,
        Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
        Period=300,
        Statistics=[statistic],
        StartTime=now - timedelta(hours=1),
        EndTime=now,
    )
    return list(answer["Datapoints"])

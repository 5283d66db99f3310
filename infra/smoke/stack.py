"""Checks of ``make smoke`` on the deployed stack: its parameters, schedule, alarms and log."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infra import parameters
from infra.smoke.fixtures import Different, Ground, NotHere, check, expect_refusal
from infra.smoke.roles import expect_only

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
    """Read who may assume the role, simulate its call, and count the runs of the last hour."""
    schedule = ground.client("scheduler").get_schedule(
        Name=ground.outputs["ScheduleName"], GroupName=ground.outputs["ScheduleGroupName"]
    )
    role, function = schedule["Target"]["RoleArn"], schedule["Target"]["Arn"]
    _expect_trust_in_group(ground, role)
    other = ground.arn("lambda", f"function:{ground.scratch}")
    expect_only(ground, role, "lambda:InvokeFunction", function, other)
    if schedule["State"] != "ENABLED":
        raise NotHere("the role is right; the schedule is disabled and invokes nothing")
    group = {"ScheduleGroup": ground.outputs["ScheduleGroupName"]}
    sent = _total(ground, "AWS/Scheduler", "InvocationAttemptCount", group)
    run = _total(ground, "AWS/Lambda", "Invocations", {"FunctionName": ground.outputs["FunctionName"]})
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
    """Create change sets with only the template's parameters, with right and with wrong values."""
    cloudformation = ground.client("cloudformation")
    template = parameters.section(TEMPLATE) + NOTHING
    cloudformation.validate_template(TemplateBody=template)
    valid = {
        "CodeBucket": "code",
        "CodeKey": "rotator.zip",
        "ParameterName": f"/{ground.scratch}",
        "SecretArn": ground.arn("secretsmanager", f"secret:{ground.scratch}-AbCdEf"),
    }

    def propose(name: str, **values: str) -> Any:
        return cloudformation.create_change_set(
            StackName=ground.scratch,
            ChangeSetName=name,
            ChangeSetType="CREATE",
            TemplateBody=template,
            Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in (valid | values).items()],
        )

    propose("valid")
    for number, bad in enumerate(
        ({"ParameterName": "/aws/x"}, {"TokenEndpoint": "http://example.com/token"})
    ):
        expect_refusal("ValidationError", propose, name=f"bad-{number}", **bad)
    return "valid values accepted; ValidationError for /aws/x and for an endpoint without TLS"


@check("the alarms exist, the alarm on the token's remaining lifetime is OK, and its metric arrives")
def alarms(ground: Ground) -> str:
    """Read the states of the stack's alarms, and the token's metric."""
    names = {name: value for name, value in ground.resources.items() if name in ALARMS}
    answer = ground.client("cloudwatch").describe_alarms(AlarmNames=list(names.values()))
    states = {alarm["AlarmName"]: alarm["StateValue"] for alarm in answer["MetricAlarms"]}
    if missing := sorted(set(names.values()) - states.keys()):
        raise Different(f"no alarm {', '.join(missing)}")
    if (state := states.get(names.get(TOKEN_ALARM, ""))) != "OK":
        raise Different(f"{TOKEN_ALARM} is {state}")
    service = {"service": ground.outputs["FunctionName"]}
    points = _points(ground, "Rotator", "TokenSecondsRemaining", service, "Minimum")
    if not points:
        raise Different("no data of TokenSecondsRemaining in the last hour")
    return f"{len(states)} alarms, {TOKEN_ALARM} is OK; {len(points)} data points in the last hour"


@check("the topic accepts the alarms' notifications, also if it is encrypted with the stack's own key")
def alarm_actions(ground: Ground) -> str:
    """Read the results of the alarms' last notifications: an encrypted topic may refuse them silently."""
    if "AlarmTopicArn" not in ground.outputs:
        raise NotHere("the stack has no topic; deploy one with AlarmEmail to check this")
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
    if "AlarmTopicArn" not in ground.outputs:
        raise NotHere("the stack has no topic; deploy one with AlarmEmail to check this")
    pages = ground.client("sns").get_paginator("list_subscriptions_by_topic")
    arns = [
        subscription["SubscriptionArn"]
        for page in pages.paginate(TopicArn=ground.outputs["AlarmTopicArn"])
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
    cloudwatch, begin = ground.client("cloudwatch"), time.monotonic()
    cloudwatch.put_metric_alarm(
        AlarmName=ground.scratch,
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
        [alarm] = cloudwatch.describe_alarms(AlarmNames=[ground.scratch])["MetricAlarms"]
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
    begin = int(ground.last_hour()["StartTime"].timestamp() * 1000)
    newest: Mapping[str, Any] | None = None
    for page in logs.paginate(logGroupName=ground.outputs["LogGroupName"], startTime=begin):
        for event in page["events"]:
            line = _json(event["message"])
            if "_aws" not in line and not str(line.get("type", "")).startswith("platform."):
                newest = line
    if newest is None:
        raise Different("the function logged nothing in the last hour")
    if "level" not in newest:
        raise Different("the newest line has no level")
    return f"JSON, level {newest['level']}"


def _json(message: str) -> dict[str, Any]:
    try:
        line = json.loads(message)
    except ValueError:
        line = None
    if not isinstance(line, dict):
        raise Different("a line is not a JSON object")
    return line


def _total(ground: Ground, namespace: str, metric: str, dimensions: Mapping[str, str]) -> float:
    """Return the sum of a metric over the last hour."""
    return sum(float(point["Sum"]) for point in _points(ground, namespace, metric, dimensions, "Sum"))


def _points(
    ground: Ground, namespace: str, metric: str, dimensions: Mapping[str, str], statistic: str
) -> list[dict[str, Any]]:
    """Return a metric's data points of the last hour."""
    answer = ground.client("cloudwatch").get_metric_statistics(
        Namespace=namespace,
        MetricName=metric,
        Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
        Period=300,
        Statistics=[statistic],
        **ground.last_hour(),
    )
    return list(answer["Datapoints"])

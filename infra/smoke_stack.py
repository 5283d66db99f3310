"""Checks of ``make smoke`` on the deployed stack: whether it takes what it should, runs, and tells of it."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infra.smoke_ground import Different, Ground, NotHere, expect_refusal
from infra.smoke_roles import expect

TEMPLATE = Path(__file__).resolve().parent / "template.yaml"
PATIENCE = 300.0
"""Seconds that CloudWatch has to evaluate a new alarm."""

TOKEN_ALARM = "TokenEndsSoon"  # noqa: S105 - a logical id


def scheduler_role(ground: Ground) -> str:
    """The Scheduler may assume the schedule's role, and that may invoke this function alone; ticks arrive."""
    schedule = ground.client("scheduler").get_schedule(Name=ground.outputs["ScheduleName"])
    role, function = schedule["Target"]["RoleArn"], schedule["Target"]["Arn"]
    trust = ground.client("iam").get_role(RoleName=role.rpartition("/")[2])["Role"][
        "AssumeRolePolicyDocument"
    ]
    token_status = [statement["Principal"] for statement in trust["Statement"]]
    if token_status != [{"Service": "scheduler.amazonaws.com"}]:
        raise Different(f"the role trusts {token_status}")
    expect(ground, role, "lambda:InvokeFunction", function, allowed=True)
    other = ground.arn("lambda", f"function:{ground.scratch}")
    expect(ground, role, "lambda:InvokeFunction", other, allowed=False)
    if schedule["State"] != "ENABLED":
        raise NotHere("the role is right; the schedule is off, so that no ticks can be seen")
    group = {"ScheduleGroup": schedule.get("GroupName", "default")}
    sent = _total(ground, "AWS/Scheduler", "InvocationAttemptCount", group)
    run = _total(ground, "AWS/Lambda", "Invocations", {"FunctionName": ground.outputs["FunctionName"]})
    if not sent or not run:
        raise Different(f"the role is right; {sent:.0f} ticks and {run:.0f} runs in the last hour")
    return f"the role may do that and no more; {sent:.0f} ticks and {run:.0f} runs in the last hour"


def allowed_pattern(ground: Ground) -> str:
    """CloudFormation understands the template's patterns, and refuses by them before it creates anything."""
    cloudformation = ground.client("cloudformation")
    template = _parameters_alone(TEMPLATE.read_text())
    cloudformation.validate_template(TemplateBody=template)
    good = {
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
            Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in (good | values).items()],
        )

    propose("good")
    for number, bad in enumerate(
        ({"ParameterName": "/aws/x"}, {"TokenEndpoint": "http://example.com/token"})
    ):
        expect_refusal("ValidationError", propose, name=f"bad-{number}", **bad)
    return "good values taken; ValidationError for /aws/x and for an endpoint without TLS"


def _parameters_alone(template: str) -> str:
    """A template with the same parameters and nothing that costs; never executed."""
    section = re.search(r"^Parameters:\n(?:[ #].*\n|\n)+", template, re.MULTILINE)
    if section is None:
        raise Different("infra/template.yaml has no Parameters")
    return f"{section[0]}Resources:\n  Nothing:\n    Type: AWS::CloudFormation::WaitConditionHandle\n"


def alarms(ground: Ground) -> str:
    """The stack's alarms are there, and the token's is quiet because its metric arrives."""
    cloudwatch = ground.client("cloudwatch")
    names = {name: value for name, value in ground.resources.items() if name in _alarms(TEMPLATE.read_text())}
    answer = cloudwatch.describe_alarms(AlarmNames=list(names.values()))
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


def alarm_actions(ground: Ground) -> str:
    """Whenever an alarm called somebody, the topic took it; an encrypted one may refuse without a word."""
    if "AlarmTopicArn" not in ground.outputs:
        raise NotHere("the stack has no topic; deploy one with AlarmEmail to check this")
    done = 0
    for alarm in _alarms(TEMPLATE.read_text()):
        history = ground.client("cloudwatch").describe_alarm_history(
            AlarmName=ground.resources[alarm], HistoryItemType="Action", MaxRecords=10
        )
        for action in history["AlarmHistoryItems"]:
            if not action["HistorySummary"].startswith("Successfully"):
                raise Different(f"an action of {alarm} failed")
            done += 1
    if not done:
        raise NotHere("no alarm has called anybody yet")
    return f"{done} times the topic took what an alarm said"


def missing_data(ground: Ground) -> str:
    """An alarm on a metric that nobody sends goes off, as the token's does when no run comes."""
    cloudwatch, begin = ground.client("cloudwatch"), time.monotonic()
    cloudwatch.put_metric_alarm(
        AlarmName=ground.scratch,
        Namespace="Rotator",
        MetricName="SentByNobody",
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
            return f"it went off after {waited:.0f} s"
        if waited > PATIENCE:
            raise Different(f"it is {alarm['StateValue']} after {waited:.0f} s")
        time.sleep(10)


def _alarms(template: str) -> list[str]:
    return re.findall(r"^  (\w+):(?: .*)?\n    Type: AWS::CloudWatch::Alarm$", template, re.MULTILINE)


def logs_json(ground: Ground) -> str:
    """What the function logs is JSON with a level; the platform's own lines and metrics have none."""
    logs = ground.client("logs").get_paginator("filter_log_events")
    begin = int(ground.last_hour()["StartTime"].timestamp() * 1000)
    newest: Mapping[str, Any] | None = None
    for page in logs.paginate(logGroupName=ground.outputs["LogGroupName"], startTime=begin):
        for event in page["events"]:
            line = _json(event["message"])
            if "_aws" not in line and not str(line.get("type", "")).startswith("platform."):
                newest = line
    if newest is None:
        raise Different("nothing was logged in the last hour")
    if "level" not in newest:
        raise Different("the newest line has no level")
    return f"JSON, level {newest['level']}"


def _json(message: str) -> dict[str, Any]:
    try:
        line = json.loads(message)
    except ValueError:
        line = None
    if not isinstance(line, dict):
        raise Different("a line that is no JSON object")
    return line


def _total(ground: Ground, namespace: str, metric: str, dimensions: Mapping[str, str]) -> float:
    """The sum of a metric over the last hour."""
    points = _points(ground, namespace, metric, dimensions, "Sum")
    return sum(float(point["Sum"]) for point in points)


def _points(
    ground: Ground, namespace: str, metric: str, dimensions: Mapping[str, str], statistic: str
) -> list[dict[str, Any]]:
    answer = ground.client("cloudwatch").get_metric_statistics(
        Namespace=namespace,
        MetricName=metric,
        Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
        Period=300,
        Statistics=[statistic],
        **ground.last_hour(),
    )
    return list(answer["Datapoints"])

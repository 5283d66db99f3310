"""Checks of ``make smoke`` on the deployed stack: what its roles may do, whether it runs, what it tells."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infra.smoke_ground import Different, Ground, NotHere, expect_refusal

TEMPLATE = Path(__file__).resolve().parent / "template.yaml"
TOKEN_ALARM = "TokenEndsSoon"  # noqa: S105 - a logical id


def kms_condition(ground: Ground) -> str:
    """The role may encrypt its token by way of Parameter Store, and nothing else with the key."""
    key = ground.outputs.get("KeyArn") or ground.parameters.get("ParameterKmsKeyArn")
    if not key:
        raise NotHere("the stack uses aws/ssm; deploy one with CreateKey=true to check this")
    name = ground.outputs.get("ParameterName") or f"{ground.parameters['ParameterPrefix']}/smoke"
    right = {
        "kms:ViaService": f"ssm.{ground.region}.amazonaws.com",
        "kms:EncryptionContext:PARAMETER_ARN": ground.arn("ssm", f"parameter{name}"),
    }
    wrong = {
        "kms:ViaService": f"s3.{ground.region}.amazonaws.com",
        "kms:EncryptionContext:PARAMETER_ARN": ground.arn("ssm", f"parameter/{ground.scratch}"),
    }
    role = ground.outputs["FunctionRoleArn"]
    for action in ("kms:Encrypt", "kms:GenerateDataKey"):
        _expect(ground, role, action, key, right, allowed=True)
        for condition, value in wrong.items():
            _expect(ground, role, action, key, right | {condition: value}, allowed=False)
    return "allowed for its token by way of Parameter Store; denied for another one, and by way of S3"


def secret_denied(ground: Ground) -> str:
    """The function's role may read its secret and no other."""
    role, action = ground.outputs["FunctionRoleArn"], "secretsmanager:GetSecretValue"
    prefix = ground.parameters.get("SecretPrefix")
    own = ground.parameters.get("SecretArn") or ground.arn("secretsmanager", f"secret:{prefix}smoke-AbCdEf")
    _expect(ground, role, action, own, allowed=True)
    other = ground.arn("secretsmanager", f"secret:{ground.scratch}-AbCdEf")
    _expect(ground, role, action, other, allowed=False)
    return "allowed for its own, denied for another"


def scheduler_role(ground: Ground) -> str:
    """The Scheduler may assume the schedule's role, and that may invoke this function alone; ticks arrive."""
    schedule = ground.client("scheduler").get_schedule(Name=ground.outputs["ScheduleName"])
    role, function = schedule["Target"]["RoleArn"], schedule["Target"]["Arn"]
    trust = ground.client("iam").get_role(RoleName=role.rpartition("/")[2])["Role"][
        "AssumeRolePolicyDocument"
    ]
    trusted = [statement["Principal"] for statement in trust["Statement"]]
    if trusted != [{"Service": "scheduler.amazonaws.com"}]:
        raise Different(f"the role trusts {trusted}")
    _expect(ground, role, "lambda:InvokeFunction", function, allowed=True)
    other = ground.arn("lambda", f"function:{ground.scratch}")
    _expect(ground, role, "lambda:InvokeFunction", other, allowed=False)
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


def _expect(
    ground: Ground,
    role: str,
    action: str,
    resource: str,
    context: Mapping[str, str] | None = None,
    *,
    allowed: bool,
) -> None:
    """Let IAM simulate one call of a role; raises Different."""
    answer = ground.client("iam").simulate_principal_policy(
        PolicySourceArn=role,
        ActionNames=[action],
        ResourceArns=[resource],
        ContextEntries=[
            {"ContextKeyName": key, "ContextKeyType": "string", "ContextKeyValues": [value]}
            for key, value in (context or {}).items()
        ],
    )
    decision = answer["EvaluationResults"][0]["EvalDecision"]
    if (decision == "allowed") != allowed:
        raise Different(f"{action} is {decision} on {resource}")


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

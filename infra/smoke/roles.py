"""Checks of ``make smoke`` on permissions, made with the policy simulator of IAM."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from infra.smoke.fixtures import Different, Ground, NotHere, check


@check("the function's role may use the key for its own token through Parameter Store only")
def kms_condition(ground: Ground) -> str:
    """Simulate encryption of the token, of another parameter, and through another service."""
    key = ground.outputs.get("KeyArn") or ground.parameters.get("ParameterKmsKeyArn")
    if not key:
        raise NotHere("the stack uses aws/ssm; deploy one with CreateKey=true to check this")
    role = ground.outputs["FunctionRoleArn"]
    china = ".cn" if role.startswith("arn:aws-cn:") else ""  # where service names have another suffix
    right, wrong = (
        {
            "kms:ViaService": f"{service}.{ground.region}.amazonaws.com{china}",
            "kms:EncryptionContext:PARAMETER_ARN": ground.arn("ssm", f"parameter{name}"),
        }
        for service, name in (("ssm", ground.token_name), ("s3", f"/{ground.scratch}"))
    )
    for action in ("kms:Encrypt", "kms:GenerateDataKey"):
        expect(ground, role, action, key, right, allowed=True)
        for condition, value in wrong.items():
            expect(ground, role, action, key, right | {condition: value}, allowed=False)
    return "allowed for its token through Parameter Store; denied for another parameter, and through S3"


@check("the function's role may read its own secret and no other secret")
def secret_denied(ground: Ground) -> str:
    """Simulate reading its secret and another one."""
    prefix = ground.parameters.get("SecretPrefix")
    own = ground.parameters.get("SecretArn") or ground.arn("secretsmanager", f"secret:{prefix}smoke-AbCdEf")
    other = ground.arn("secretsmanager", f"secret:{ground.scratch}-AbCdEf")
    expect_only(ground, ground.outputs["FunctionRoleArn"], "secretsmanager:GetSecretValue", own, other)
    return "allowed for its own secret, denied for another secret"


@check("the function's role may read the documents of multiple rotations, and cannot write them")
def rotations_path(ground: Ground) -> str:
    """Simulate reading and writing below the stack's path."""
    path = ground.outputs.get("RotationsPath")
    if not path:
        raise NotHere("the stack has one rotation; deploy one with RotationsPath to check this")
    role, documents = ground.outputs["FunctionRoleArn"], ground.arn("ssm", f"parameter{path}")
    expect(ground, role, "ssm:GetParametersByPath", documents, allowed=True)
    expect(ground, role, "ssm:PutParameter", f"{documents}/smoke", allowed=False)
    return "allowed to read below its path, denied to write there"


@check("Lambda may send records of failed runs to the stack's queue and to no other queue")
def failed_runs(ground: Ground) -> str:
    """Simulate sending to the function's failure destination, as its role, and to another queue."""
    found = ground.client("lambda").get_function_event_invoke_config(
        FunctionName=ground.outputs["FunctionName"], Qualifier="$LATEST"
    )
    queue = found.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination", "")
    other = ground.arn("sqs", ground.scratch)
    expect_only(ground, ground.outputs["FunctionRoleArn"], "sqs:SendMessage", queue, other)
    return f"allowed for {queue.rpartition(':')[2]}, denied for another queue"


@check("the consumers' policy allows reading the token, but not another parameter, and no writes")
def consumer_policy(ground: Ground) -> str:
    """Simulate the calls of a caller with this policy alone."""
    iam, arn = ground.client("iam"), ground.outputs["ConsumerPolicyArn"]
    version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
    policy = iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]
    token = ground.arn("ssm", f"parameter{ground.token_name}")
    other = ground.arn("ssm", f"parameter/{ground.scratch}")
    for action, resource, allowed in (
        ("ssm:GetParameter", token, True),
        ("ssm:GetParameter", other, False),
        ("ssm:PutParameter", token, False),
        ("ssm:GetParameterHistory", token, False),
    ):
        answer = iam.simulate_custom_policy(
            PolicyInputList=[policy if isinstance(policy, str) else json.dumps(policy)],
            ActionNames=[action],
            ResourceArns=[resource],
        )
        _judge(answer, action, resource, allowed=allowed)
    return "allowed to read the token; denied to read another parameter, to write it, and to read its history"


def expect(
    ground: Ground,
    role: str,
    action: str,
    resource: str,
    context: Mapping[str, str] | None = None,
    *,
    allowed: bool,
) -> None:
    """Let IAM simulate one call of a role; raises Different unless the decision is as expected."""
    answer = ground.client("iam").simulate_principal_policy(
        PolicySourceArn=role,
        ActionNames=[action],
        ResourceArns=[resource],
        ContextEntries=[
            {"ContextKeyName": key, "ContextKeyType": "string", "ContextKeyValues": [value]}
            for key, value in (context or {}).items()
        ],
    )
    _judge(answer, action, resource, allowed=allowed)


def expect_only(ground: Ground, role: str, action: str, resource: str, other: str) -> None:
    """Let IAM simulate a role's call: it must be allowed on one resource and denied on the other."""
    expect(ground, role, action, resource, allowed=True)
    expect(ground, role, action, other, allowed=False)


def _judge(answer: Mapping[str, Any], action: str, resource: str, *, allowed: bool) -> None:
    decision = answer["EvaluationResults"][0]["EvalDecision"]
    if (decision == "allowed") != allowed:
        raise Different(f"{action} is {decision} on {resource}")

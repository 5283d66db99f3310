"""Checks of ``make smoke`` on permissions: IAM's own simulator is asked what roles and policies allow."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from infra.smoke_ground import Different, Ground, NotHere


def kms_condition(ground: Ground) -> str:
    """The role may encrypt its token by way of Parameter Store, and nothing else with the key."""
    key = ground.outputs.get("KeyArn") or ground.parameters.get("ParameterKmsKeyArn")
    if not key:
        raise NotHere("the stack uses aws/ssm; deploy one with CreateKey=true to check this")
    right = {
        "kms:ViaService": ground.service("ssm"),
        "kms:EncryptionContext:PARAMETER_ARN": ground.arn("ssm", f"parameter{ground.token_name}"),
    }
    wrong = {
        "kms:ViaService": ground.service("s3"),
        "kms:EncryptionContext:PARAMETER_ARN": ground.arn("ssm", f"parameter/{ground.scratch}"),
    }
    role = ground.outputs["FunctionRoleArn"]
    for action in ("kms:Encrypt", "kms:GenerateDataKey"):
        expect(ground, role, action, key, right, allowed=True)
        for condition, value in wrong.items():
            expect(ground, role, action, key, right | {condition: value}, allowed=False)
    return "allowed for its token by way of Parameter Store; denied for another one, and by way of S3"


def secret_denied(ground: Ground) -> str:
    """The function's role may read its secret and no other."""
    role, action = ground.outputs["FunctionRoleArn"], "secretsmanager:GetSecretValue"
    prefix = ground.parameters.get("SecretPrefix")
    own = ground.parameters.get("SecretArn") or ground.arn("secretsmanager", f"secret:{prefix}smoke-AbCdEf")
    expect(ground, role, action, own, allowed=True)
    other = ground.arn("secretsmanager", f"secret:{ground.scratch}-AbCdEf")
    expect(ground, role, action, other, allowed=False)
    return "allowed for its own, denied for another"


def rotations_path(ground: Ground) -> str:
    """The role may read the documents of many rotations, and write none."""
    path = ground.outputs.get("RotationsPath")
    if not path:
        raise NotHere("the stack has one rotation; deploy one with RotationsPath to check this")
    role, documents = ground.outputs["FunctionRoleArn"], ground.arn("ssm", f"parameter{path}")
    expect(ground, role, "ssm:GetParametersByPath", documents, allowed=True)
    expect(ground, role, "ssm:PutParameter", f"{documents}/smoke", allowed=False)
    return "allowed to read below its path, denied to write there"


def failed_runs(ground: Ground) -> str:
    """Lambda may keep what it knows of failed runs, under the function's role, and sends it nowhere else."""
    lambda_ = ground.client("lambda")
    found = lambda_.get_function_event_invoke_config(
        FunctionName=ground.outputs["FunctionName"], Qualifier="$LATEST"
    )
    queue = found.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination", "")
    role, action = ground.outputs["FunctionRoleArn"], "sqs:SendMessage"
    expect(ground, role, action, queue, allowed=True)
    expect(ground, role, action, ground.arn("sqs", ground.scratch), allowed=False)
    return f"allowed for {queue.rpartition(':')[2]}, denied for another queue"


def consumer_policy(ground: Ground) -> str:
    """Whoever has the consumers' policy reads the token, and does not write it."""
    document = _document(ground, ground.outputs["ConsumerPolicyArn"])
    token = ground.arn("ssm", f"parameter{ground.token_name}")
    other = ground.arn("ssm", f"parameter/{ground.scratch}")
    for action, resource, allowed in (
        ("ssm:GetParameter", token, True),
        ("ssm:GetParameter", other, False),
        ("ssm:PutParameter", token, False),
        ("ssm:GetParameterHistory", token, False),
    ):
        answer = ground.client("iam").simulate_custom_policy(
            PolicyInputList=[document], ActionNames=[action], ResourceArns=[resource]
        )
        _judge(answer, action, resource, allowed=allowed)
    return "allowed to read the token; denied to read another, to write it, and to read its history"


def _document(ground: Ground, policy: str) -> str:
    iam = ground.client("iam")
    version = iam.get_policy(PolicyArn=policy)["Policy"]["DefaultVersionId"]
    found = iam.get_policy_version(PolicyArn=policy, VersionId=version)["PolicyVersion"]["Document"]
    return found if isinstance(found, str) else json.dumps(found)


def expect(
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
    _judge(answer, action, resource, allowed=allowed)


def _judge(answer: Mapping[str, Any], action: str, resource: str, *, allowed: bool) -> None:
    decision = answer["EvaluationResults"][0]["EvalDecision"]
    if (decision == "allowed") != allowed:
        raise Different(f"{action} is {decision} on {resource}")

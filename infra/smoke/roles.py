"""Checks of ``make smoke`` on permissions, made with the policy simulator of IAM, and on workers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

from infra.smoke.fixtures import Different, Ground, check, needed


@check("the function's role may use the key for its own token through Parameter Store only")
def kms_condition(ground: Ground) -> str:
    key = ground.outputs.get("KeyArn") or ground.parameters.get("ParameterKmsKeyArn")
    key = needed(key, "uses aws/ssm", "CreateKey=true")
    # Service names have another suffix in China.
    china = ".cn" if ground.outputs["FunctionRoleArn"].startswith("arn:aws-cn:") else ""
    right, wrong = (
        {
            "kms:ViaService": f"{service}.{ground.region}.amazonaws.com{china}",
            "kms:EncryptionContext:PARAMETER_ARN": ground.arn("ssm", f"parameter{name}"),
        }
        for service, name in (("ssm", ground.token_name), ("s3", f"/{ground.scratch}"))
    )
    for action in ("kms:Encrypt", "kms:GenerateDataKey"):
        expect(as_role(ground), action, key, right, allowed=True)
        for condition, value in wrong.items():
            expect(as_role(ground), action, key, right | {condition: value}, allowed=False)
    return "allowed for its token through Parameter Store; denied for another parameter, and through S3"


@check("the function's role may read its own secret and no other secret")
def secret_denied(ground: Ground) -> str:
    prefix = ground.parameters.get("SecretPrefix")
    own = ground.parameters.get("SecretArn") or ground.arn("secretsmanager", f"secret:{prefix}smoke-AbCdEf")
    other = ground.arn("secretsmanager", f"secret:{ground.scratch}-AbCdEf")
    expect_only(as_role(ground), "secretsmanager:GetSecretValue", own, other)
    return "allowed for its own secret, denied for another secret"


@check("the function's role may read the documents of multiple rotations, and cannot write them")
def rotations_path(ground: Ground) -> str:
    path = needed(ground.outputs.get("RotationsPath"), "has one rotation", "RotationsPath")
    documents = ground.arn("ssm", f"parameter{path}")
    expect(as_role(ground), "ssm:GetParametersByPath", documents, allowed=True)
    expect(as_role(ground), "ssm:PutParameter", f"{documents}/smoke", allowed=False)
    return "allowed to read below its path, denied to write there"


@check(
    "Lambda runs at most Workers workers at once, failed messages are kept, the role may enqueue rotations"
)
def workers(ground: Ground) -> str:
    identifier = needed(ground.resources.get("TakeWork"), "has no workers", "Workers")
    mapping = ground.client("lambda").get_event_source_mapping(UUID=identifier)
    queue = ground.client("sqs").get_queue_attributes(
        QueueUrl=ground.resources["Work"], AttributeNames=["QueueArn", "RedrivePolicy"]
    )["Attributes"]
    redrive = json.loads(queue.get("RedrivePolicy", "{}"))
    number = int(ground.parameters["Workers"])
    dead_letters = ground.arn("sqs", ground.resources["Poisoned"].rpartition("/")[2])
    for what, found, expected in (
        ("the mapping", mapping["State"], "Enabled"),
        ("its queue", mapping["EventSourceArn"], queue["QueueArn"]),
        ("its response", mapping.get("FunctionResponseTypes"), ["ReportBatchItemFailures"]),
        ("its concurrency", mapping.get("ScalingConfig", {}).get("MaximumConcurrency"), number),
        ("the dead-letter queue", redrive.get("deadLetterTargetArn"), dead_letters),
    ):
        if found != expected:
            raise Different(f"{what} is {found}")
    # It covers SendMessageBatch, which has no action of its own:
    # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-batch-api-actions.html
    expect(as_role(ground), "sqs:SendMessage", queue["QueueArn"], allowed=True)
    return (
        f"enabled for {number} workers, failed messages are reported one by one and kept; the role may send"
    )


@check("Lambda may send records of failed runs to the stack's queue and to no other queue")
def failed_runs(ground: Ground) -> str:
    found = ground.client("lambda").get_function_event_invoke_config(
        FunctionName=ground.outputs["FunctionName"], Qualifier="$LATEST"
    )
    queue = found.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination", "")
    expect_only(as_role(ground), "sqs:SendMessage", queue, ground.arn("sqs", ground.scratch))
    return f"allowed for {queue.rpartition(':')[2]}, denied for another queue"


@check("the consumers' policy allows reading the token, but not another parameter, and no writes")
def consumer_policy(ground: Ground) -> str:
    iam, arn = ground.client("iam"), ground.outputs["ConsumerPolicyArn"]
    version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
    policy = iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]
    token = ground.arn("ssm", f"parameter{ground.token_name}")
    other = ground.arn("ssm", f"parameter/{ground.scratch}")
    text = policy if isinstance(policy, str) else json.dumps(policy)
    with_the_policy = partial(iam.simulate_custom_policy, PolicyInputList=[text])
    expect_only(with_the_policy, "ssm:GetParameter", token, other)
    for action in ("ssm:PutParameter", "ssm:GetParameterHistory"):
        expect(with_the_policy, action, token, allowed=False)
    return "allowed to read the token; denied to read another parameter, to write it, and to read its history"


def as_role(ground: Ground, role: str = "") -> Callable[..., Any]:
    """Return IAM's simulation of calls of a role, by default the function's."""
    simulate = ground.client("iam").simulate_principal_policy
    return partial(simulate, PolicySourceArn=role or ground.outputs["FunctionRoleArn"])


def expect(
    simulate: Callable[..., Any],
    action: str,
    resource: str,
    context: Mapping[str, str] = MappingProxyType({}),
    *,
    allowed: bool,
) -> None:
    """Simulate one call; raises Different unless IAM's decision is as expected."""
    answer = simulate(
        ActionNames=[action],
        ResourceArns=[resource],
        ContextEntries=[
            {"ContextKeyName": key, "ContextKeyType": "string", "ContextKeyValues": [value]}
            for key, value in context.items()
        ],
    )
    decision = answer["EvaluationResults"][0]["EvalDecision"]
    if (decision == "allowed") != allowed:
        raise Different(f"{action} is {decision} on {resource}")


def expect_only(simulate: Callable[..., Any], action: str, resource: str, other: str) -> None:
    """Simulate a call that must be allowed on one resource and denied on the other."""
    expect(simulate, action, resource, allowed=True)
    expect(simulate, action, other, allowed=False)

"""Checks of ``make smoke`` on what many rotations use: secrets that are read together, and workers."""

from __future__ import annotations

import json
import secrets
import time

from infra.smoke_ground import Different, Ground, NotHere
from infra.smoke_roles import expect

SETTLED = 10.0
"""Seconds that a new secret has until it is asked for; how soon it is seen everywhere, AWS does not say."""


def secrets_together(ground: Ground) -> str:
    """Of a secret and a name without one, the first is answered; the role's wide action opens no other.

    https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_BatchGetSecretValue.html
    """
    code = _told_of_the_missing(ground)
    if "RotationsPath" not in ground.outputs:
        raise NotHere(
            f"one answered, {code} for the other; deploy a stack with RotationsPath to check its role"
        )
    role = ground.outputs["FunctionRoleArn"]
    other = ground.arn("secretsmanager", f"secret:{ground.scratch}-AbCdEf")
    expect(ground, role, "secretsmanager:BatchGetSecretValue", "*", allowed=True)
    expect(ground, role, "secretsmanager:GetSecretValue", other, allowed=False)
    return f"one answered, {code} for the other; the role may do it, and read no other secret"


def _told_of_the_missing(ground: Ground) -> str:
    """The code that stands for a missing secret beside the value of one that is there; raises Different."""
    manager, value = ground.client("secretsmanager"), secrets.token_hex(16)
    there, missing = f"{ground.scratch}/there", f"{ground.scratch}/missing"
    # Forced, it is no error either where nothing was created:
    # https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_DeleteSecret.html
    ground.at_the_end(
        f"the secret {there}",
        lambda: manager.delete_secret(SecretId=there, ForceDeleteWithoutRecovery=True),
    )
    manager.create_secret(Name=there, SecretString=value)
    time.sleep(SETTLED)
    answer = manager.batch_get_secret_value(SecretIdList=[there, missing])
    found = {each["Name"]: each.get("SecretString") for each in answer.get("SecretValues", ())}
    errors = {each.get("SecretId"): each.get("ErrorCode") for each in answer.get("Errors", ())}
    if found != {there: value}:
        raise Different(f"{len(found)} secrets were answered, or another value")
    if errors.keys() != {missing}:
        raise Different(f"{len(errors)} errors were told, or another secret's")
    return str(errors[missing])


def workers(ground: Ground) -> str:
    """Lambda takes the work as the template says, what fails leads to Poisoned, and the role may send work.

    IAM has no action for SendMessageBatch but SendMessage:
    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-batch-api-actions.html
    """
    if "TakeWork" not in ground.resources:
        raise NotHere("the stack has no workers; deploy one with Workers to check this")
    mapping = ground.client("lambda").get_event_source_mapping(UUID=ground.resources["TakeWork"])
    queue = ground.client("sqs").get_queue_attributes(
        QueueUrl=ground.resources["Work"], AttributeNames=["QueueArn", "RedrivePolicy"]
    )["Attributes"]
    redrive = json.loads(queue.get("RedrivePolicy", "{}"))
    number = int(ground.parameters["Workers"])
    poisoned = ground.arn("sqs", ground.resources["Poisoned"].rpartition("/")[2])
    for what, found, right in (
        ("the mapping", mapping["State"], "Enabled"),
        ("its queue", mapping["EventSourceArn"], queue["QueueArn"]),
        ("its response", mapping.get("FunctionResponseTypes"), ["ReportBatchItemFailures"]),
        ("its concurrency", mapping.get("ScalingConfig", {}).get("MaximumConcurrency"), number),
        ("the dead-letter queue", redrive.get("deadLetterTargetArn"), poisoned),
    ):
        if found != right:
            raise Different(f"{what} is {found}")
    expect(ground, ground.outputs["FunctionRoleArn"], "sqs:SendMessage", queue["QueueArn"], allowed=True)
    return f"Enabled for {number} at once, failures told one by one and led to Poisoned; the role may send"

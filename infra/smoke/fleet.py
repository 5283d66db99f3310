"""The check of ``make smoke`` on workers."""

from __future__ import annotations

import json

from infra.smoke.fixtures import Different, Ground, NotHere, check
from infra.smoke.roles import expect


@check(
    "Lambda runs at most Workers workers at once, failed messages are kept, the role may enqueue rotations"
)
def workers(ground: Ground) -> str:
    """Compare the event source mapping and the queues with the template, and simulate the role's call.

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
    expect(ground, ground.outputs["FunctionRoleArn"], "sqs:SendMessage", queue["QueueArn"], allowed=True)
    return (
        f"enabled for {number} workers, failed messages are reported one by one and kept; the role may send"
    )

"""The check of ``make smoke`` on workers."""

from __future__ import annotations

import json

from infra.smoke.fixtures import Different, Ground, check, needed
from infra.smoke.roles import as_role, expect


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

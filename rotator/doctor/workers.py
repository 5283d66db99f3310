"""The check of a stack's workers: one must take the rotations that scheduled runs enqueue."""

from __future__ import annotations

from collections.abc import Mapping

from rotator.config.deployment import Inspector
from rotator.doctor.check import REPLACE
from rotator.errors import RotatorError

CHECK = "workers"
"""The name of the check."""

ENABLED = frozenset({"Enabled", "Enabling", "Creating", "Updating"})
"""The states of an event source mapping that takes messages, or soon will.

https://docs.aws.amazon.com/lambda/latest/api/API_EventSourceMappingConfiguration.html
"""


def has_workers(outputs: Mapping[str, str]) -> bool:
    """Return whether these are the outputs of a stack whose scheduled runs enqueue due rotations."""
    return "WorkQueueUrl" in outputs


def check_workers(outputs: Mapping[str, str], inspector: Inspector) -> str:
    """Return how many rotations are queued and how many messages are dead-lettered.

    Raises:
        RotatorError: No worker takes rotations from the queue.
    """
    waiting = _messages(outputs["WorkQueueUrl"], inspector)
    failed = _messages(outputs["PoisonedQueueUrl"], inspector)
    event_source_mapping = inspector.event_source_mapping(outputs["FunctionName"], outputs["WorkQueueUrl"])
    if event_source_mapping is None:
        raise RotatorError(
            f"no worker takes what scheduled runs enqueue; queued rotations: {waiting}", advice=REPLACE
        )
    if event_source_mapping.state not in ENABLED:
        raise RotatorError(
            f"the workers are disabled (their event source mapping is {event_source_mapping.state}); "
            f"queued rotations: {waiting}",
            advice=f"aws lambda update-event-source-mapping --uuid {event_source_mapping.id} --enabled",
        )
    workers = (
        f"{event_source_mapping.maximum_concurrency} workers"
        if event_source_mapping.maximum_concurrency
        else "any number of workers"
    )
    found = f"{workers}; queued rotations: {waiting}"
    if failed:
        found += f"; messages dead-lettered in the last four days: {failed}, see PoisonedQueueUrl"
    return found


def _messages(queue: str, inspector: Inspector) -> int:
    messages = inspector.messages(queue)
    if messages is None:
        raise RotatorError(f"the queue {queue.rpartition('/')[2]} does not exist", advice=REPLACE)
    return messages

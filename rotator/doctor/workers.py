"""The check of a stack's workers, which renew the rotations that scheduled runs enqueue."""

from __future__ import annotations

from collections.abc import Mapping

from rotator.config.deployment import Inspector
from rotator.doctor.check import REPLACE
from rotator.errors import RotatorError

CHECK = "workers"
"""The name of the check."""

ENABLED = frozenset({"Enabled", "Enabling", "Creating", "Updating"})
"""The states in which an event source mapping receives messages, or soon will.

https://docs.aws.amazon.com/lambda/latest/api/API_EventSourceMappingConfiguration.html
"""


def has_workers(outputs: Mapping[str, str]) -> bool:
    """Return whether these outputs are from a stack with workers."""
    return "WorkQueueUrl" in outputs


def check_workers(outputs: Mapping[str, str], inspector: Inspector) -> str:
    """Return the number of queued rotations and of dead-lettered messages.

    Raises:
        RotatorError: No worker receives messages from the queue.
    """
    queued = _messages(outputs["WorkQueueUrl"], inspector)
    dead_lettered = _messages(outputs["PoisonedQueueUrl"], inspector)
    event_source_mapping = inspector.event_source_mapping(outputs["FunctionName"], outputs["WorkQueueUrl"])
    if event_source_mapping is None:
        raise RotatorError(f"no worker receives the queued rotations: {queued} in the queue", advice=REPLACE)
    if event_source_mapping.state not in ENABLED:
        raise RotatorError(
            f"the workers are disabled (their event source mapping is {event_source_mapping.state}); "
            f"queued rotations: {queued}",
            advice="enable them: "
            f"aws lambda update-event-source-mapping --uuid {event_source_mapping.id} --enabled",
        )
    workers = (
        f"{event_source_mapping.maximum_concurrency} workers"
        if event_source_mapping.maximum_concurrency
        else "any number of workers"
    )
    found = f"{workers}; queued rotations: {queued}"
    if dead_lettered:
        found += f"; messages dead-lettered in the last four days: {dead_lettered}, see PoisonedQueueUrl"
    return found


def _messages(queue: str, inspector: Inspector) -> int:
    messages = inspector.messages(queue)
    if messages is None:
        raise RotatorError(f"the queue {queue.rpartition('/')[2]} does not exist", advice=REPLACE)
    return messages

"""The check of the workers, where a stack has them: a worker must take what scheduled runs enqueue."""

from __future__ import annotations

from collections.abc import Mapping

from rotator.config.deployment import EventSourceMapping, Inspector
from rotator.doctor.check import REPLACE
from rotator.errors import RotatorError

CHECK = "workers"
"""Its name."""

ENABLED = frozenset({"Enabled", "Enabling", "Creating", "Updating"})
"""States of an event source mapping that takes messages, or will in a minute.

https://docs.aws.amazon.com/lambda/latest/api/API_EventSourceMappingConfiguration.html
"""


def has_workers(outputs: Mapping[str, str]) -> bool:
    """Whether these are the outputs of a stack whose scheduled runs enqueue what is due."""
    return "WorkQueueUrl" in outputs


def check_workers(outputs: Mapping[str, str], inspector: Inspector) -> str:
    """Say how many rotations wait and how many failed twice; raises RotatorError where nobody works."""
    waiting = _messages(outputs["WorkQueueUrl"], inspector)
    failed = _messages(outputs["PoisonedQueueUrl"], inspector)
    event_source_mapping = inspector.event_source_mapping(outputs["FunctionName"], outputs["WorkQueueUrl"])
    if event_source_mapping is None:
        raise RotatorError(
            f"no worker takes what scheduled runs enqueue; rotations that wait: {waiting}", advice=REPLACE
        )
    if event_source_mapping.state not in ENABLED:
        raise RotatorError(
            f"the workers are turned off (their event source mapping is {event_source_mapping.state}); "
            f"rotations that wait: {waiting}",
            advice=f"aws lambda update-event-source-mapping --uuid {event_source_mapping.id} --enabled",
        )
    told = f"{_count(event_source_mapping)}; rotations that wait for one: {waiting}"
    if failed:
        told += f"; that failed twice in the last four days: {failed}, see the queue PoisonedQueueUrl"
    return told


def _messages(queue: str, inspector: Inspector) -> int:
    messages = inspector.messages(queue)
    if messages is None:
        raise RotatorError(f"the queue {queue.rpartition('/')[2]} does not exist", advice=REPLACE)
    return messages


def _count(event_source_mapping: EventSourceMapping) -> str:
    return (
        f"{event_source_mapping.maximum_concurrency} workers"
        if event_source_mapping.maximum_concurrency
        else "any number of workers"
    )

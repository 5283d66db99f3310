"""Scripted answers to the checks of ``make smoke`` on many rotations, and what they must find."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from infra.smoke import roles
from infra.smoke.fixtures import Ground
from rotator.devstack.aws_emulators import ACCOUNT
from smoke_answers_changes import simulated
from smoke_ground import refused

NOT_FOUND = "ResourceNotFoundException"
QUEUES = f"arn:aws:sqs:eu-central-1:{ACCOUNT}"
WORK = f"{QUEUES}:smoked-Work-1"
MAPPING = {
    "State": "Enabled",
    "EventSourceArn": WORK,
    "FunctionResponseTypes": ["ReportBatchItemFailures"],
    "ScalingConfig": {"MaximumConcurrency": 3},
}


def leads_to(queue: str) -> Any:
    """The attributes of the queue of work, with its dead-letter queue."""
    redrive = json.dumps({"deadLetterTargetArn": queue, "maxReceiveCount": 5})
    return {"Attributes": {"QueueArn": WORK, "RedrivePolicy": redrive}}


def at_work(*may: str, mapping: Any = MAPPING, queue: Any = None) -> dict[str, Any]:
    return {
        "get_event_source_mapping": mapping,
        "get_queue_attributes": queue or leads_to(f"{QUEUES}:smoked-Poisoned"),
        "simulate_principal_policy": simulated(*may),
    }


WORLDS: dict[str, tuple[Callable[[Ground], str], dict[str, Any], str | None]] = {
    "workers": (roles.workers, at_work(WORK), None),
    "workers off": (
        roles.workers,
        at_work(WORK, mapping=MAPPING | {"State": "Disabled"}),
        "the mapping is Disabled",
    ),
    "work of another queue": (
        roles.workers,
        at_work(WORK, mapping=MAPPING | {"EventSourceArn": f"{QUEUES}:x"}),
        f"its queue is {QUEUES}:x",
    ),
    "batches as a whole": (
        roles.workers,
        at_work(WORK, mapping=MAPPING | {"FunctionResponseTypes": []}),
        "its response is []",
    ),
    "more workers": (
        roles.workers,
        at_work(WORK, mapping=MAPPING | {"ScalingConfig": {"MaximumConcurrency": 30}}),
        "its concurrency is 30",
    ),
    "any number of workers": (
        roles.workers,
        at_work(WORK, mapping={k: v for k, v in MAPPING.items() if k != "ScalingConfig"}),
        "its concurrency is None",
    ),
    "poison elsewhere": (
        roles.workers,
        at_work(WORK, queue=leads_to(f"{QUEUES}:x")),
        f"the dead-letter queue is {QUEUES}:x",
    ),
    "poison stays": (
        roles.workers,
        at_work(WORK, queue={"Attributes": {"QueueArn": WORK}}),
        "the dead-letter queue is None",
    ),
    "no mapping": (
        roles.workers,
        {"get_event_source_mapping": refused(NOT_FOUND)},
        NOT_FOUND,
    ),
    "work not sent": (roles.workers, at_work(), "sqs:SendMessage is implicitDeny"),
}

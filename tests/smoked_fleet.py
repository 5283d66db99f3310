"""Scripted answers to the checks of ``make smoke`` on many rotations, and what they must find."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from infra import smoke_fleet
from infra.smoke_ground import Ground
from rotator.local.aws import ACCOUNT
from smoked_changes import simulated
from smoking import TOKEN, refused

OTHER = f"arn:aws:secretsmanager:eu-central-1:{ACCOUNT}:secret:rotator-smoke-1-AbCdEf"
ALONE = {"simulate_principal_policy": simulated("*")}
NOT_FOUND = "ResourceNotFoundException"


class Manager:
    """Secrets Manager's answers; ``value`` and ``errors`` take the place of what it should answer."""

    def __init__(self, *, value: str | None = None, errors: tuple[str, ...] = ("missing",)) -> None:
        self.secrets: dict[str, str] = {}
        self._value = value
        self._errors = errors

    def answers(self) -> dict[str, Any]:
        return {
            "create_secret": self._create,
            "batch_get_secret_value": self._get_batch,
            "delete_secret": self._delete,
        }

    def _create(self, **request: Any) -> Any:
        self.secrets[request["Name"]] = request["SecretString"]
        return {}

    def _get_batch(self, **request: Any) -> Any:
        known = [name for name in request["SecretIdList"] if name in self.secrets]
        return {
            "SecretValues": [{"Name": n, "SecretString": self._value or self.secrets[n]} for n in known],
            "Errors": [
                {"SecretId": f"rotator-smoke-1/{name}", "ErrorCode": NOT_FOUND} for name in self._errors
            ],
        }

    def _delete(self, **request: Any) -> Any:
        if not request.get("ForceDeleteWithoutRecovery"):
            raise AssertionError("it would stay for weeks")
        self.secrets.pop(request["SecretId"], None)


QUEUES = f"arn:aws:sqs:eu-central-1:{ACCOUNT}"
WORK = f"{QUEUES}:smoked-Work-1"
MAPPING = {
    "State": "Enabled",
    "EventSourceArn": WORK,
    "FunctionResponseTypes": ["ReportBatchItemFailures"],
    "ScalingConfig": {"MaximumConcurrency": 3},
}


def leads_to(queue: str) -> Any:
    """The attributes of the queue of work, whose dead letters go to another."""
    redrive = json.dumps({"deadLetterTargetArn": queue, "maxReceiveCount": 2})
    return {"Attributes": {"QueueArn": WORK, "RedrivePolicy": redrive}}


def at_work(*may: str, mapping: Any = MAPPING, queue: Any = None) -> dict[str, Any]:
    return {
        "get_event_source_mapping": mapping,
        "get_queue_attributes": queue or leads_to(f"{QUEUES}:smoked-Poisoned"),
        "simulate_principal_policy": simulated(*may),
    }


WORLDS: dict[str, tuple[Callable[[Ground], str], dict[str, Any], str | None]] = {
    "secrets together": (smoke_fleet.secrets_together, Manager().answers() | ALONE, None),
    "one missing, none read": (
        smoke_fleet.secrets_together,
        {**Manager().answers(), "batch_get_secret_value": refused(NOT_FOUND)},
        NOT_FOUND,
    ),
    "none answered": (
        smoke_fleet.secrets_together,
        {**Manager().answers(), "batch_get_secret_value": {}},
        "0 secrets were answered",
    ),
    "another value": (smoke_fleet.secrets_together, Manager(value=TOKEN).answers(), "or another value"),
    "the missing not told": (
        smoke_fleet.secrets_together,
        Manager(errors=()).answers(),
        "0 errors were told",
    ),
    "another missing": (
        smoke_fleet.secrets_together,
        Manager(errors=("x",)).answers(),
        "or another secret's",
    ),
    "no secrets together": (
        smoke_fleet.secrets_together,
        {**Manager().answers(), "simulate_principal_policy": simulated()},
        "secretsmanager:BatchGetSecretValue is implicitDeny on *",
    ),
    "any secret": (
        smoke_fleet.secrets_together,
        {**Manager().answers(), "simulate_principal_policy": simulated("*", OTHER)},
        "secretsmanager:GetSecretValue is allowed on",
    ),
    "workers": (smoke_fleet.workers, at_work(WORK), None),
    "workers off": (
        smoke_fleet.workers,
        at_work(WORK, mapping=MAPPING | {"State": "Disabled"}),
        "the mapping is Disabled",
    ),
    "work of another queue": (
        smoke_fleet.workers,
        at_work(WORK, mapping=MAPPING | {"EventSourceArn": f"{QUEUES}:x"}),
        f"its queue is {QUEUES}:x",
    ),
    "batches as a whole": (
        smoke_fleet.workers,
        at_work(WORK, mapping=MAPPING | {"FunctionResponseTypes": []}),
        "its response is []",
    ),
    "more workers": (
        smoke_fleet.workers,
        at_work(WORK, mapping=MAPPING | {"ScalingConfig": {"MaximumConcurrency": 30}}),
        "its concurrency is 30",
    ),
    "any number of workers": (
        smoke_fleet.workers,
        at_work(WORK, mapping={k: v for k, v in MAPPING.items() if k != "ScalingConfig"}),
        "its concurrency is None",
    ),
    "poison elsewhere": (
        smoke_fleet.workers,
        at_work(WORK, queue=leads_to(f"{QUEUES}:x")),
        f"the dead-letter queue is {QUEUES}:x",
    ),
    "poison stays": (
        smoke_fleet.workers,
        at_work(WORK, queue={"Attributes": {"QueueArn": WORK}}),
        "the dead-letter queue is None",
    ),
    "no mapping": (
        smoke_fleet.workers,
        {"get_event_source_mapping": refused(NOT_FOUND)},
        NOT_FOUND,
    ),
    "work not sent": (smoke_fleet.workers, at_work(), "sqs:SendMessage is implicitDeny"),
}

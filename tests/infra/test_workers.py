"""The workers' part of the template: off by default, and no message is lost before five receives."""

from __future__ import annotations

import json
from itertools import product
from typing import Any

import pytest

import guides
from rotator.config import environment
from rotator.config.environment import Settings
from rotator.fleet.scheduler import TIME_RESERVE_SECONDS
from rotator.fleet.write_rate import WRITES_PER_RENEWAL
from rotator.renewal.ports import WRITE_RESERVE_SECONDS
from rotator.workers import dispatch
from template import PARAMETERS, Stack

MANY = {
    "RotationsPath": "/rotator/rotations",
    "SecretPrefix": "healthwise/",
    "ParameterPrefix": "/healthwise",
    "AllowedHosts": "auth.healthwise.net",
}
WORKERS = {**MANY, "Workers": "3"}
STACK = Stack(WORKERS)
GUIDE = guides.text("rotations.md")
DOCUMENTS = "arn:aws:ssm:eu-central-1:123456789012:parameter/rotator/rotations/*"


def test_workers_add_three_resources_and_are_off_by_default() -> None:
    assert PARAMETERS["Workers"]["Default"] == 0
    assert STACK.resources.keys() - Stack(MANY).resources.keys() == {"Work", "Poisoned", "TakeWork"}
    assert STACK.outputs.keys() - Stack(MANY).outputs.keys() == {"WorkQueueUrl", "PoisonedQueueUrl"}
    assert "Work" not in json.dumps(Stack(MANY).resources | Stack(MANY).outputs).replace("WorkNotSent", "")


def test_function_takes_batches_and_reports_failed_messages() -> None:
    assert {k: v for k, v in STACK.resources["TakeWork"].items() if k != "Tags"} == {
        "EventSourceArn": "<Work.Arn>",
        "FunctionName": "<Function>",
        "BatchSize": dispatch.BATCH_SIZE,
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "ScalingConfig": {"MaximumConcurrency": "3"},
    }


def test_function_environment_has_queue_url_and_worker_count() -> None:
    reported = STACK.resources["Function"]["Environment"]["Variables"]
    assert (reported["ROTATOR_QUEUE_URL"], reported["ROTATOR_WORKERS"]) == ("<Work>", "3")


@pytest.mark.parametrize("workers", [w for w in PARAMETERS["Workers"]["AllowedValues"] if w])
def test_allowed_worker_counts_are_valid_for_the_function(workers: int) -> None:
    """https://docs.aws.amazon.com/lambda/latest/api/API_ScalingConfig.html."""
    assert 2 <= workers <= 1000
    assert environment._RUN_SETTINGS["workers"](str(workers)) == workers


@pytest.mark.parametrize("workers", [w for w in PARAMETERS["Workers"]["AllowedValues"] if w])
def test_reservation_below_workers_plus_one_is_refused(workers: int) -> None:
    """A reservation below the mapping's maximum concurrency throttles messages, which counts as a receive."""
    given = {**WORKERS, "Workers": str(workers)}
    refused = [n for n in range(1, 1000) if Stack({**given, "ReservedConcurrency": str(n)}).refused]
    assert refused == list(range(1, workers + 1))


def test_message_is_dead_lettered_after_five_receives() -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html: "at least 5"."""
    assert STACK.resources["Work"]["RedrivePolicy"]["maxReceiveCount"] >= 5


def seconds(queue: dict[str, Any], name: str) -> int:
    return int(queue[name])


@pytest.mark.parametrize("minutes", PARAMETERS["ScheduleMinutes"]["AllowedValues"])
def test_failing_message_is_dead_lettered_before_it_expires(minutes: int) -> None:
    """A message is first received within a schedule interval, and again after each visibility timeout.

    A dead-letter queue counts its age from when it was sent:
    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/setting-up-dead-letter-queue-retention.html
    """
    timeouts = (PARAMETERS["TimeoutSeconds"]["MinValue"], PARAMETERS["TimeoutSeconds"]["MaxValue"])
    for timeout, workers in product(timeouts, ("2", "100")):
        given = {"TimeoutSeconds": str(timeout), "ScheduleMinutes": str(minutes), "Workers": workers}
        resources = Stack({**MANY, **given}).resources
        queue = resources["Work"]
        tries = queue["RedrivePolicy"]["maxReceiveCount"]
        assert queue["RedrivePolicy"]["deadLetterTargetArn"] == "<Poisoned.Arn>"
        longest = minutes * 60 + tries * seconds(queue, "VisibilityTimeout")
        assert (
            longest
            < seconds(queue, "MessageRetentionPeriod")
            < seconds(resources["Poisoned"], "MessageRetentionPeriod")
        )


def test_visibility_timeout_equals_the_function_timeout() -> None:
    """Lambda refuses the mapping otherwise.

    https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
    """
    resources = Stack({**WORKERS, "TimeoutSeconds": "120"}).resources
    assert resources["Work"]["VisibilityTimeout"] == resources["Function"]["Timeout"] == "120"


def test_workers_add_only_queue_and_document_permissions() -> None:
    more = {each["Sid"]: each for each in STACK.statements("Role")}
    for each in Stack(MANY).statements("Role"):
        assert more.pop(each["Sid"]) == each
    assert {sid: (s["Effect"], s["Action"], s["Resource"]) for sid, s in more.items()} == {
        "ReadNamedRotations": ("Allow", "ssm:GetParameters", DOCUMENTS),
        "EnqueueWork": (
            "Allow",
            ["sqs:SendMessage", "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"],
            "<Work.Arn>",
        ),
    }


def test_worker_queues_are_encrypted_and_require_tls() -> None:
    policy = STACK.resources["QueuePolicy"]
    assert {"<Work>", "<Poisoned>"} < set(policy["Queues"])
    [refusal] = policy["PolicyDocument"]["Statement"]
    assert (refusal["Effect"], refusal["Action"]) == ("Deny", "sqs:*")
    assert refusal["Resource"] == [f"{queue[:-1]}.Arn>" for queue in policy["Queues"]]
    assert all(STACK.resources[queue]["SqsManagedSseEnabled"] for queue in ("Work", "Poisoned"))


def test_dashboard_shows_waiting_and_dead_lettered_messages() -> None:
    body = json.loads(STACK.resources["Dashboard"]["DashboardBody"])
    [requests] = [w["properties"] for w in body["widgets"] if w["properties"]["title"] == "Requests"]
    labels = {metric[3]: metric[4]["label"] for metric in requests["metrics"] if len(metric) == 5}
    assert labels["<Work.QueueName>"] == "rotations waiting for a worker"
    assert labels["<Poisoned.QueueName>"] == "dead-lettered messages"


@pytest.mark.parametrize(
    ("timeout", "minutes"), [(60, 5), (60, 2), (120, 2)], ids=["defaults", "more often", "and longer"]
)
def test_guide_capacity_table_matches_the_write_rate(timeout: int, minutes: int) -> None:
    rotations = Settings(rotation=None).writes_per_second / WRITES_PER_RENEWAL
    a_run = 1 + int((timeout - WRITE_RESERVE_SECONDS - TIME_RESERVE_SECONDS) * rotations)
    a_day = a_run * 24 * 60 // minutes
    assert (
        f"| {a_run} a run, {a_day // 100 / 10:,.1f}00 a day | {int(a_day / 1.5) // 100 / 10:.1f}00 |".replace(
            ".", ","
        )
        in GUIDE
    )

"""The workers' part of the template: off by default, and no message is lost before it was tried twice."""

from __future__ import annotations

import json
from itertools import product
from typing import Any

import pytest

from conftest import CHECKOUT
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
GUIDE = (CHECKOUT / "infra" / "README.md").read_text()
DOCUMENTS = "arn:aws:ssm:eu-central-1:123456789012:parameter/rotator/rotations/*"


def test_workers_are_three_more_resources_and_by_default_there_are_none() -> None:
    assert PARAMETERS["Workers"]["Default"] == 0
    assert STACK.resources.keys() - Stack(MANY).resources.keys() == {"Work", "Poisoned", "TakeWork"}
    assert STACK.outputs.keys() - Stack(MANY).outputs.keys() == {"WorkQueueUrl", "PoisonedQueueUrl"}
    assert "Work" not in json.dumps(Stack(MANY).resources | Stack(MANY).outputs).replace("WorkNotSent", "")


def test_the_same_function_takes_ten_messages_at_a_time_and_says_which_failed() -> None:
    assert {k: v for k, v in STACK.resources["TakeWork"].items() if k != "Tags"} == {
        "EventSourceArn": "<Work.Arn>",
        "FunctionName": "<Function>",
        "BatchSize": dispatch.BATCH_SIZE,
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "ScalingConfig": {"MaximumConcurrency": "3"},
    }


def test_the_function_knows_its_queue_and_how_many_share_the_writes() -> None:
    told = STACK.resources["Function"]["Environment"]["Variables"]
    assert (told["ROTATOR_QUEUE_URL"], told["ROTATOR_WORKERS"]) == ("<Work>", "3")


@pytest.mark.parametrize("workers", [w for w in PARAMETERS["Workers"]["AllowedValues"] if w])
def test_a_number_of_workers_is_one_that_lambda_and_the_function_take(workers: int) -> None:
    """https://docs.aws.amazon.com/lambda/latest/api/API_ScalingConfig.html."""
    assert 2 <= workers <= 1000
    assert environment._RUN_SETTINGS["workers"](str(workers)) == workers


def seconds(queue: dict[str, Any], name: str) -> int:
    return int(queue[name])


@pytest.mark.parametrize("minutes", PARAMETERS["ScheduleMinutes"]["AllowedValues"])
def test_what_fails_twice_is_set_aside_before_it_could_vanish(minutes: int) -> None:
    """A message is received first while it is younger than a tick, and again after each visibility timeout.

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


def test_a_message_is_nobody_elses_for_as_long_as_a_run_may_take() -> None:
    """Lambda refuses the mapping otherwise.

    https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
    """
    resources = Stack({**WORKERS, "TimeoutSeconds": "120"}).resources
    assert resources["Work"]["VisibilityTimeout"] == resources["Function"]["Timeout"] == "120"


def test_the_role_may_use_the_queue_and_read_the_documents_and_no_more() -> None:
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


def test_its_queues_are_encrypted_and_refuse_plain_connections() -> None:
    policy = STACK.resources["QueuePolicy"]
    assert {"<Work>", "<Poisoned>"} < set(policy["Queues"])
    [refusal] = policy["PolicyDocument"]["Statement"]
    assert (refusal["Effect"], refusal["Action"]) == ("Deny", "sqs:*")
    assert refusal["Resource"] == [f"{queue[:-1]}.Arn>" for queue in policy["Queues"]]
    assert all(STACK.resources[queue]["SqsManagedSseEnabled"] for queue in ("Work", "Poisoned"))


def test_the_dashboard_shows_what_waits_and_what_is_poisoned() -> None:
    body = json.loads(STACK.resources["Dashboard"]["DashboardBody"])
    [requests] = [w["properties"] for w in body["widgets"] if w["properties"]["title"] == "Requests"]
    labels = {metric[3]: metric[4]["label"] for metric in requests["metrics"] if len(metric) == 5}
    assert labels["<Work.QueueName>"] == "rotations waiting for a worker"
    assert labels["<Poisoned.QueueName>"] == "poisoned messages"


@pytest.mark.parametrize(
    ("timeout", "minutes"), [(60, 5), (60, 2), (120, 2)], ids=["defaults", "more often", "and longer"]
)
def test_the_guides_arithmetic_of_writes_is_right(timeout: int, minutes: int) -> None:
    rotations = Settings(rotation=None).writes_per_second / WRITES_PER_RENEWAL
    a_run = 1 + int((timeout - WRITE_RESERVE_SECONDS - TIME_RESERVE_SECONDS) * rotations)
    a_day = a_run * 24 * 60 // minutes
    assert (
        f"| {a_run} a run, {a_day // 100 / 10:,.1f}00 a day | {int(a_day / 1.5) // 100 / 10:.1f}00 |".replace(
            ".", ","
        )
        in GUIDE
    )

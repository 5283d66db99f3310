"""Workers whose invocations Lambda throttles, since others use up the account's concurrency.

The queues are moto's with the template's attributes, the handler is the function's, and a poller stands for
Lambda's event source: it receives a message whether or not the function can be invoked. The message of a
throttled invocation becomes visible again after the visibility timeout, which passes in virtual time.
https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from rotator import handler
from rotator.devstack.authorization_api import AuthorizationApi
from rotator.devstack.deployment import Account
from rotator.devstack.http_server import serving
from template import Stack

PATH = "/rotator/rotations"
NAMES = ("tenant-a", "tenant-b", "tenant-c")
STACK = {
    "RotationsPath": PATH,
    "SecretPrefix": "healthwise/",
    "ParameterPrefix": "/healthwise",
    "AllowedHosts": "127.0.0.1",
    "Workers": "2",
    "WritesPerSecond": "1000",
}
RECEIVES = 5
"""How often AWS advises that a message be received before it is dead-lettered, at least."""


class Context:
    """Lambda's context, with a minute left."""

    aws_request_id = "request-1"

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


@dataclass
class EventSource:
    """The two queues, and the poller between the first and the function."""

    sqs: Any
    work: str
    dead_letters: str
    mapping: Mapping[str, Any]
    visibility_timeout: int
    elapsed_seconds: int = field(default=0, init=False)

    @classmethod
    def of(cls, account: Account, stack: Stack) -> EventSource:
        """The event source of a stack, whose queues are created as the template says."""
        sqs, resources = account.client("sqs"), stack.resources
        dead_letters = sqs.create_queue(QueueName="poisoned")["QueueUrl"]
        (arn,) = sqs.get_queue_attributes(QueueUrl=dead_letters, AttributeNames=["QueueArn"])[
            "Attributes"
        ].values()
        given = resources["Work"]
        redrive = {**given["RedrivePolicy"], "deadLetterTargetArn": arn}
        attributes = {name: str(given[name]) for name in ("VisibilityTimeout", "MessageRetentionPeriod")}
        work = sqs.create_queue(
            QueueName="work", Attributes={**attributes, "RedrivePolicy": json.dumps(redrive)}
        )["QueueUrl"]
        return cls(sqs, work, dead_letters, resources["TakeWork"], int(given["VisibilityTimeout"]))

    def receive(self) -> list[dict[str, Any]]:
        """The visible messages, up to a batch of them, as the event has them."""
        received = self.sqs.receive_message(
            QueueUrl=self.work, MaxNumberOfMessages=self.mapping["BatchSize"], AttributeNames=["All"]
        ).get("Messages", [])
        return [self._record(message) for message in received]

    def _record(self, message: Mapping[str, Any]) -> dict[str, Any]:
        attributes = message["Attributes"]
        sent = int(attributes["SentTimestamp"]) - 1000 * self.elapsed_seconds
        return {
            "messageId": message["MessageId"],
            "receiptHandle": message["ReceiptHandle"],
            "eventSource": "aws:sqs",
            "body": message["Body"],
            "attributes": {**attributes, "SentTimestamp": str(sent)},
        }

    def be_throttled(self) -> None:
        """Receive messages and fail to invoke the function, until they are visible again."""
        for record in self.receive():
            self.sqs.change_message_visibility(
                QueueUrl=self.work, ReceiptHandle=record["receiptHandle"], VisibilityTimeout=0
            )
        self.elapsed_seconds += self.visibility_timeout

    def invoke(self) -> int:
        """Receive messages, invoke the function, and delete those that it served; returns how many."""
        records = self.receive()
        if not records:
            return 0
        answer = handler.lambda_handler({"Records": records}, Context())
        failed = {each["itemIdentifier"] for each in answer["batchItemFailures"]}
        served = [record for record in records if record["messageId"] not in failed]
        for record in served:
            self.sqs.delete_message(QueueUrl=self.work, ReceiptHandle=record["receiptHandle"])
        return len(served)

    def dead_lettered(self) -> int:
        names = ["ApproximateNumberOfMessages"]
        found = self.sqs.get_queue_attributes(QueueUrl=self.dead_letters, AttributeNames=names)
        return int(found["Attributes"]["ApproximateNumberOfMessages"])


@pytest.fixture(scope="module")
def authorization_api() -> Iterator[str]:
    with serving(AuthorizationApi({"client": "secret"}).app) as address:
        yield address


@pytest.fixture(params=["60", "900"], ids=lambda seconds: f"timeout of {seconds} s")
def source(
    request: pytest.FixtureRequest, moto: Account, authorization_api: str, monkeypatch: pytest.MonkeyPatch
) -> EventSource:
    """The function with three rotations that are due, and its event source. Nothing is sent yet."""
    stack = Stack({**STACK, "TimeoutSeconds": request.param})
    found = EventSource.of(moto, stack)
    secret = moto.create_secret("healthwise/client", "client", "secret")
    for name in NAMES:
        document = {
            "secret_id": secret,
            "parameter_name": f"/healthwise/{name}/token",
            "token_endpoint": f"{authorization_api}/oauth2/token",
        }
        moto.client("ssm").put_parameter(Name=f"{PATH}/{name}", Value=json.dumps(document), Type="String")
    variables = stack.resources["Function"]["Environment"]["Variables"]
    for name, value in {**variables, "ROTATOR_QUEUE_URL": found.work}.items():
        monkeypatch.setenv(name, str(value))
    return found


def run_scheduled() -> int:
    """Do a scheduled run, and return how many rotations it enqueued."""
    return int(handler.lambda_handler({}, Context())["busy"])


def renewed(account: Account) -> list[str]:
    """The rotations that have a token."""
    found = account.client("ssm").describe_parameters(
        ParameterFilters=[{"Key": "Type", "Values": ["SecureString"]}]
    )["Parameters"]
    return sorted(each["Name"].split("/")[2] for each in found)


@pytest.mark.parametrize("throttled", range(RECEIVES))
def test_throttled_message_is_served_within_five_receives(
    source: EventSource, moto: Account, throttled: int
) -> None:
    assert run_scheduled() == len(NAMES)
    for _ in range(throttled):
        source.be_throttled()
    assert source.invoke() == len(NAMES)
    assert renewed(moto) == list(NAMES)
    assert source.dead_lettered() == 0
    assert source.receive() == []


def test_next_run_sends_again_what_was_dead_lettered(source: EventSource, moto: Account) -> None:
    """After five receives a message is dead-lettered although it never ran. The guide says so."""
    assert run_scheduled() == len(NAMES)
    for _ in range(RECEIVES):
        source.be_throttled()
    assert source.invoke() == 0
    assert (source.dead_lettered(), renewed(moto)) == (len(NAMES), [])
    source.elapsed_seconds = 0
    assert run_scheduled() == len(NAMES)
    assert source.invoke() == len(NAMES)
    assert renewed(moto) == list(NAMES)

"""What SQS refuses, in words that say what to do next and quote nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from rotator.adapters.runtime.sqs import SqsWorkQueue
from rotator.errors import WorkNotSent

URL = "https://sqs.eu-central-1.amazonaws.com/123456789012/work"
CANARY = "canary-in-the-words-of-aws"


@pytest.fixture
def sqs() -> Iterator[tuple[SqsWorkQueue, Stubber]]:
    client = boto3.client("sqs", region_name="eu-central-1", aws_access_key_id="x", aws_secret_access_key="x")
    with Stubber(client) as stubber:
        yield SqsWorkQueue(client, URL), stubber


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        ("AccessDenied", "allow this caller sqs:SendMessage"),
        ("AWS.SimpleQueueService.NonExistentQueue", "`make undeploy`, then `make deploy`"),
        ("AWS.SimpleQueueService.NonExistentQueue", 'SET="Workers=0" runs without workers'),
        (
            "ThrottlingException",
            "the next run tries again; if the error persists, find out which other callers use up",
        ),
        ("InternalFailure", "the next run tries again; if the error persists, check the AWS Health"),
        ("KmsThrottled", "the next run tries again; if the error persists, look up this error code"),
    ],
)
def test_failed_send_gives_advice_without_quoting_aws(
    code: str, advice: str, sqs: tuple[SqsWorkQueue, Stubber]
) -> None:
    queue, stubber = sqs
    stubber.add_client_error("send_message_batch", code, CANARY)
    with pytest.raises(WorkNotSent, match=code) as caught:
        queue.send(["message"])
    assert advice in str(caught.value)
    assert CANARY not in str(caught.value)


def test_refused_message_is_returned_with_its_error(sqs: tuple[SqsWorkQueue, Stubber]) -> None:
    queue, stubber = sqs
    sent: dict[str, Any] = {"MessageId": "x", "MD5OfMessageBody": "x"}
    failed = {"Id": "1", "SenderFault": False, "Code": "InternalError", "Message": CANARY}
    successful = [{"Id": "0", **sent}, {"Id": "2", **sent}]
    stubber.add_response("send_message_batch", {"Successful": successful, "Failed": [failed]})
    refused = queue.send(["a", "b", "c"])
    assert list(refused) == [1]
    assert str(refused[1]).startswith("the rotation could not be enqueued for the workers: InternalError; ")
    assert CANARY not in str(refused[1])

"""Amazon SQS as the port WorkQueue: SendMessageBatch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rotator.adapters.runtime import aws_client, aws_errors
from rotator.adapters.runtime.aws_client import AwsError
from rotator.errors import Retry, WorkNotSent

# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html
GONE = frozenset({"AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"})
"""The codes for a queue that does not exist."""

_ADVICE = {
    **dict.fromkeys(aws_errors.DENIED, "allow this caller sqs:SendMessage on the queue in ROTATOR_QUEUE_URL"),
    **dict.fromkeys(
        GONE,
        "run `make undeploy`, then `make deploy`: an update of the stack does not create the deleted queue "
        'again; until then, `make deploy` with SET="Workers=0" runs without workers',
    ),
}


class SqsWorkQueue:
    """The port WorkQueue on SQS."""

    def __init__(self, client: Any, url: str) -> None:
        self._client = client
        self._url = url

    def send(self, messages: Sequence[str]) -> Mapping[int, WorkNotSent]:
        """Send the messages in one call; return the error of each refused message by its index."""
        entries = [{"Id": str(place), "MessageBody": body} for place, body in enumerate(messages)]
        try:
            results = aws_client.call(
                self._client.send_message_batch, read=_results, QueueUrl=self._url, Entries=entries
            )
        except AwsError as error:
            raise _not_sent(error) from error
        codes = {**dict.fromkeys(range(len(messages)), aws_errors.NOT_AN_ANSWER), **results}
        return {place: _not_sent(AwsError(code)) for place, code in codes.items() if code}


def _results(answer: Mapping[str, Any]) -> dict[int, str]:
    """Return the error code of each refused message by its index; that of an accepted message is empty."""
    refused = {int(each["Id"]): str(each["Code"]) for each in answer.get("Failed", ())}
    return refused | {int(each["Id"]): "" for each in answer.get("Successful", ())}


def _not_sent(error: AwsError) -> WorkNotSent:
    return WorkNotSent(
        f"the rotation could not be enqueued for the workers: {error.code}",
        advice=error.advice_with(_ADVICE),
        retry=None if error.code in _ADVICE else Retry.NEXT_RUN,
    )

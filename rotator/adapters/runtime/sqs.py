"""Amazon SQS behind the port WorkQueue: SendMessageBatch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rotator.adapters.runtime import aws_client, aws_errors
from rotator.adapters.runtime.aws_client import AwsError
from rotator.errors import Retry, WorkNotSent

# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html
GONE = frozenset({"AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"})
"""The codes for a queue that is not there."""

_ADVICE = {
    **dict.fromkeys(aws_errors.DENIED, "allow this caller sqs:SendMessage on the queue in ROTATOR_QUEUE_URL"),
    **dict.fromkeys(
        GONE,
        "their queue was deleted, and an update of the stack does not create it again: `make undeploy`, then "
        '`make deploy`, or `make deploy` with SET="Workers=0" for now',
    ),
}


class SqsWorkQueue:
    """The port WorkQueue on Amazon's."""

    def __init__(self, client: Any, url: str) -> None:
        self._client = client
        self._url = url

    def send(self, messages: Sequence[str]) -> Mapping[int, WorkNotSent]:
        """Send the messages in one call, whose answer tells of each."""
        entries = [{"Id": str(place), "MessageBody": body} for place, body in enumerate(messages)]
        try:
            taken, refused = aws_client.call(
                self._client.send_message_batch, read=_results, QueueUrl=self._url, Entries=entries
            )
        except AwsError as error:
            raise _not_sent(error) from error
        unmentioned = dict.fromkeys(range(len(messages)), aws_errors.NOT_AN_ANSWER)
        codes = {place: code for place, code in {**unmentioned, **refused}.items() if place not in taken}
        return {place: _not_sent(AwsError(code)) for place, code in codes.items()}


def _results(answer: Mapping[str, Any]) -> tuple[set[int], dict[int, str]]:
    """Return the places of the messages that were taken, and the error codes of the others by place."""
    taken = {int(each["Id"]) for each in answer.get("Successful", ())}
    return taken, {int(each["Id"]): str(each["Code"]) for each in answer.get("Failed", ())}


def _not_sent(error: AwsError) -> WorkNotSent:
    return WorkNotSent(
        f"it could not be enqueued for the workers: {error.code}",
        advice=error.advice_with(_ADVICE),
        retry=None if error.code in _ADVICE else Retry.NEXT_RUN,
    )

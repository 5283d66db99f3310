"""A scheduled run enqueues the due rotations for workers, which are invocations of the same function.

Every scheduled run enqueues again the rotations that are still due, so a message may be lost, delivered twice
or dropped.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Protocol

from rotator.config import validators
from rotator.errors import MORE_TIME, MORE_WRITES, RotatorError, as_rotator_error
from rotator.fleet.urgency import Due, by_urgency
from rotator.fleet.write_rate import WRITES_PER_RENEWAL
from rotator.renewal.durations import seconds_until
from rotator.renewal.models import Outcome, Parameter, Result
from rotator.renewal.policy import may_be_revoked
from rotator.renewal.ports import NAMES_PER_CALL, ParameterStore, Run
from rotator.renewal.results import as_stored, failed_with, postponed
from rotator.workers import queue_messages

MESSAGES_PER_CALL = 10
"""https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html"""

BATCH_SIZE = 10
"""The messages that a worker receives at a time (infra/template.yaml)."""

ENQUEUED = "enqueued for the workers"


class WorkQueue(Protocol):
    """The queue of due rotations, from scheduled runs to workers."""

    def send(self, messages: Sequence[str]) -> Mapping[int, RotatorError]:
        """Send at most ten messages; return the error of each refused message by its index.

        Raises WorkNotSent if the whole call failed.
        """


def enqueue(
    open_queue: Callable[[], WorkQueue], due: Sequence[Due], run: Run, report: Callable[[Result], None]
) -> None:
    """Send the due rotations to the workers in the order of their urgency, ten messages per call.

    An enqueued rotation is reported as busy, one that could not be enqueued as failed. If a whole call fails,
    no other call is made: it would fail as well, after a timeout.
    """
    if not due:
        return
    queue, rest = open_queue(), by_urgency(due, run.now())
    while rest and run.request_deadline.remaining() > 0:
        batch, rest = rest[:MESSAGES_PER_CALL], rest[MESSAGES_PER_CALL:]
        try:
            refused = queue.send([queue_messages.asking_for(each.rotation.name) for each in batch])
        except Exception as error:  # noqa: BLE001 - every rotation must be reported
            batch, rest = batch + rest, []
            refused = dict.fromkeys(range(len(batch)), as_rotator_error(error, "a message to the workers"))
        for place, each in enumerate(batch):
            if place in refused:
                report(failed_with(each.rotation, each.stored, refused[place], run))
            else:
                report(_enqueued(each, run.now()))
    for each in rest:
        report(postponed(each.rotation, each.stored, run))


def _enqueued(due: Due, now: datetime) -> Result:
    """Return the result of an enqueued rotation, with the remaining lifetime that consumers can count on.

    The lifetime is 0 if no stored token is known to be valid. An alarm watches the shortest of these
    lifetimes, because a worker that never receives the message reports nothing.
    """
    status = due.stored.token_status
    known = status and not may_be_revoked(due.rotation, due.stored, now)
    remaining = math.floor(seconds_until(status.expires_at, now)) if status and known else 0
    result = as_stored(due.rotation, due.stored, Outcome.BUSY, reason=ENQUEUED)
    return replace(result, expires_at=result.expires_at if known else None, seconds_remaining=remaining)


def read_documents(path: str, names: Sequence[str], parameters: ParameterStore) -> dict[str, Parameter]:
    """Return the documents of these rotations, except documents that set another name.

    A worker reads only these, because the path may have hundreds of pages.
    """
    possible: list[str] = []
    for form in dict.fromkeys(form for name in names for form in (name, name.replace(".", "/"))):
        with suppress(validators.InvalidValue):  # one invalid name makes AWS refuse the whole call
            possible.append(validators.any_parameter_name(f"{path}/{form}"))
    found: dict[str, Parameter] = {}
    for start in range(0, len(possible), NAMES_PER_CALL):
        found |= parameters.read(possible[start : start + NAMES_PER_CALL])
    return found


def write_rate_warning(writes_per_second: float, workers: int, run: Run) -> Iterator[str]:
    """Yield a warning if a worker's share of the write rate is too small for a whole batch."""
    needed = BATCH_SIZE * WRITES_PER_RENEWAL * workers / writes_per_second
    has = run.request_deadline.remaining()
    if needed > has:
        yield (
            f"{workers} workers share {writes_per_second:g} writes per second, so a worker needs "
            f"{needed:.0f} s for a batch of {BATCH_SIZE} rotations, but its run has {has:.0f} s; "
            f"lower Workers of the stack (ROTATOR_WORKERS), {MORE_TIME}, or {MORE_WRITES}"
        )

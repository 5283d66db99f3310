"""The messages to the workers: only names of rotations, in the form of the function's own event.

A queue may deliver a message more than once, and a sender may write any text.
https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rotator.errors import MORE_WRITES, SettingsError
from rotator.renewal.durations import seconds_until
from rotator.renewal.models import Outcome, Summary

MAX_NAMES_PER_MESSAGE = 10
"""The most names in one message; a scheduled run sends one."""

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")


def asking_for(name: str) -> str:
    """Return the message that requests the renewal of one rotation."""
    return json.dumps({"rotations": [name]})


@dataclass(frozen=True, kw_only=True)
class Batch:
    """The messages of an event, by their ids: the names in each, or the error of a malformed one."""

    wanted: Mapping[str, tuple[str, ...]]
    malformed: Mapping[str, SettingsError]
    superseded: int = 0  # dropped messages, which a later scheduled run has replaced

    @property
    def names(self) -> list[str]:
        """Every name once, in the order of the messages."""
        return list(dict.fromkeys(name for names in self.wanted.values() for name in names))

    def failures(self, summary: Summary) -> list[str]:
        """Return the malformed messages, and those that name a failed rotation or one that does not exist."""
        done = {r.name for r in summary.results if r.outcome is not Outcome.FAILED}
        unserved = [message for message, names in self.wanted.items() if not done.issuperset(names)]
        return [*unserved, *self.malformed]


def is_batch(event: object) -> bool:
    """Whether an event holds messages of a queue."""
    records = event.get("Records") if isinstance(event, dict) else None
    return isinstance(records, list) and bool(records) and all(map(_is_record, records))


def _is_record(record: object) -> bool:
    match record:
        case {"eventSource": "aws:sqs", "messageId": str()}:
            return True
    return False


def read(records: Sequence[Mapping[str, Any]], now: datetime, interval: float) -> Batch:
    """Read the messages; one that is older than the schedule's ``interval`` in seconds is superseded."""
    wanted: dict[str, tuple[str, ...]] = {}
    malformed: dict[str, SettingsError] = {}
    superseded = 0
    for record in records:
        try:
            names = _read_message(record.get("body"))
        except SettingsError as error:
            malformed[record["messageId"]] = error
            continue
        if _is_superseded(record, now, interval):
            superseded += 1
        else:
            wanted[record["messageId"]] = names
    return Batch(wanted=wanted, malformed=malformed, superseded=superseded)


def _read_message(body: object) -> tuple[str, ...]:
    """Return the names in a message, which must not force a renewal or change a setting."""
    try:
        asked = json.loads(body) if isinstance(body, str) else None
    except (ValueError, RecursionError):
        asked = None
    match asked:
        case {"rotations": [_, *_] as names, **others} if not others and len(names) <= MAX_NAMES_PER_MESSAGE:
            if all(isinstance(name, str) and _NAME.fullmatch(name) for name in names):
                return tuple(names)
    raise SettingsError(
        f"it is not a JSON object with the names of 1 to {MAX_NAMES_PER_MESSAGE} rotations",
        advice='send {"rotations": ["default"]}',
    )


def _is_superseded(record: Mapping[str, Any], now: datetime, interval: float) -> bool:
    """Whether a later scheduled run has enqueued the due rotations again, in the order of their urgency.

    A message that was received before is not superseded: after its retries it moves to the dead-letter queue.
    """
    try:
        attributes = record["attributes"]
        sent = datetime.fromtimestamp(int(attributes["SentTimestamp"]) / 1000, UTC)
        return int(attributes["ApproximateReceiveCount"]) == 1 and seconds_until(now, sent) >= interval
    except (KeyError, TypeError, ValueError, OverflowError, OSError):
        return False


def warnings(batch: Batch, summary: Summary) -> Iterator[str]:
    """Yield a warning for each message that names no rotation, and one for the dropped messages."""
    if batch.superseded:
        yield (
            f"messages dropped because a later scheduled run enqueued the due rotations again: "
            f"{batch.superseded}; if that lasts, check which endpoints respond slowly, or {MORE_WRITES}"
        )
    for message, error in batch.malformed.items():
        yield f"message {message}: {error}"
    known = {result.name for result in summary.results}
    for message, names in batch.wanted.items():
        for name in names:
            if name not in known:
                yield f"message {message}: there is no rotation named {name}; it may have been deleted since"

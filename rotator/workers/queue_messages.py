"""What the messages to the workers say: rotations by name, as in the function's own event, and nothing else.

A queue delivers a message at least once, and whoever may send to it may write what he likes.
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
"""In one message; a scheduled run sends one."""

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")


def asking_for(name: str) -> str:
    """The message that asks for one rotation."""
    return json.dumps({"rotations": [name]})


@dataclass(frozen=True, kw_only=True)
class Batch:
    """What the records of an event ask for: by message, the names or what is wrong with it.

    ``superseded`` counts those that a later scheduled run has taken the place of: they are done.
    """

    wanted: Mapping[str, tuple[str, ...]]
    malformed: Mapping[str, SettingsError]
    superseded: int = 0

    @property
    def names(self) -> list[str]:
        """Every name once, in the order of the messages."""
        return list(dict.fromkeys(name for names in self.wanted.values() for name in names))

    def failures(self, summary: Summary) -> list[str]:
        """The messages that ask for what failed, for what is not there, or for nothing that can be read."""
        done = {r.name for r in summary.results if r.outcome is not Outcome.FAILED}
        unserved = [message for message, names in self.wanted.items() if not done.issuperset(names)]
        return [*unserved, *self.malformed]


def is_batch(event: object) -> bool:
    """Whether the event brings messages of a queue."""
    records = event.get("Records") if isinstance(event, dict) else None
    return isinstance(records, list) and bool(records) and all(map(_is_record, records))


def _is_record(record: object) -> bool:
    return (
        isinstance(record, dict)
        and record.get("eventSource") == "aws:sqs"
        and isinstance(record.get("messageId"), str)
    )


def read(records: Sequence[Mapping[str, Any]], now: datetime, interval: float) -> Batch:
    """Read the messages; ``interval`` is the schedule's, in seconds, after which they are superseded."""
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
    """The names in a message, which may force nothing and say nothing about where a secret goes."""
    try:
        asked = json.loads(body) if isinstance(body, str) else None
    except (ValueError, RecursionError):
        asked = None
    names = asked.get("rotations") if isinstance(asked, dict) and asked.keys() == {"rotations"} else None
    if (
        not isinstance(names, list)
        or not 1 <= len(names) <= MAX_NAMES_PER_MESSAGE
        or not all(map(_is_name, names))
    ):
        raise SettingsError(
            f"it does not name 1 to {MAX_NAMES_PER_MESSAGE} rotations, and nothing else",
            advice='send {"rotations": ["default"]}',
        )
    return tuple(names)


def _is_name(name: object) -> bool:
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def _is_superseded(record: Mapping[str, Any], now: datetime, interval: float) -> bool:
    """Whether a scheduled run has since sent again what is still due, in a better order.

    One that was received before is not: it shall come to its end, in the dead-letter queue if need be.
    """
    try:
        attributes = record["attributes"]
        sent = datetime.fromtimestamp(int(attributes["SentTimestamp"]) / 1000, UTC)
        return int(attributes["ApproximateReceiveCount"]) == 1 and seconds_until(now, sent) >= interval
    except (KeyError, TypeError, ValueError, OverflowError, OSError):
        return False


def warnings(batch: Batch, summary: Summary) -> Iterator[str]:
    """Say which messages are nobody's work, and how many came too late."""
    if batch.superseded:
        yield (
            f"{batch.superseded} messages are older than the last scheduled run, which has sent again what "
            "is still due, and were dropped; if that lasts, see what is slow, or " + MORE_WRITES
        )
    for message, error in batch.malformed.items():
        yield f"message {message}: {error}"
    known = {result.name for result in summary.results}
    for message, names in batch.wanted.items():
        for name in names:
            if name not in known:
                yield f"message {message}: there is no rotation named {name}; it may have been deleted since"

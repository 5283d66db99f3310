"""What messages to the workers ask for, read as strictly as anything that others may write."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

import fake_ports
from rotator.renewal.models import Outcome, Result, Summary
from rotator.workers import queue_messages

NOW = fake_ports.START
INTERVAL = 300.0


def record(body: Any, *, id: str = "m", age: float = 0, received: int = 1, **more: Any) -> dict[str, Any]:
    """A message as Lambda gives it to a function."""
    sent = (NOW - timedelta(seconds=age)).timestamp()
    return {
        "messageId": id,
        "eventSource": "aws:sqs",
        "body": body if isinstance(body, str) else json.dumps(body),
        "attributes": {"SentTimestamp": str(int(sent * 1000)), "ApproximateReceiveCount": str(received)},
        **more,
    }


def read(*records: dict[str, Any]) -> queue_messages.Batch:
    return queue_messages.read(records, NOW, INTERVAL)


def summary(**outcomes: str) -> Summary:
    return Summary(results=tuple(Result(name=name, outcome=Outcome(o)) for name, o in outcomes.items()))


def test_message_of_a_scheduled_run_is_read_by_a_worker() -> None:
    assert read(record(queue_messages.asking_for("tenant-1.eu"))).names == ["tenant-1.eu"]


def test_message_may_name_ten_rotations() -> None:
    names = [f"r{number}" for number in range(10)]
    assert read(record({"rotations": names})).names == names


def test_superseded_messages_give_a_warning() -> None:
    batch = read(
        record(queue_messages.asking_for("a"), age=INTERVAL), record(queue_messages.asking_for("b"), id="n")
    )
    (warning,) = queue_messages.warnings(batch, summary(b="rotated"))
    assert warning == (
        "messages dropped because a later scheduled run enqueued the due rotations again: 1; "
        "if that lasts, check which endpoints respond slowly, or raise WritesPerSecond of the stack "
        "(ROTATOR_WRITES_PER_SECOND) if the account's quota allows it"
    )


def test_name_in_several_messages_is_listed_once() -> None:
    asked = [["a", "b"], ["b"], ["c", "a", "c"]]
    batch = read(*[record({"rotations": names}, id=str(place)) for place, names in enumerate(asked)])
    assert batch.names == ["a", "b", "c"]


MALFORMED = {
    "nothing": "",
    "not JSON": "{",
    "nested too deep": "[" * 100_000,
    "a list": '["a"]',
    "a text": '"a"',
    "null": "null",
    "an empty object": "{}",
    "no names": '{"rotations": []}',
    "a text as names": '{"rotations": "a"}',
    "too many names": json.dumps({"rotations": [f"r{number}" for number in range(11)]}),
    "a number as a name": '{"rotations": [1]}',
    "a list as a name": '{"rotations": [["a"]]}',
    "an empty name": '{"rotations": [""]}',
    "a path as a name": '{"rotations": ["../a"]}',
    "a name with a line of the log in it": '{"rotations": ["a\\nERROR"]}',
    "a name that is too long": json.dumps({"rotations": ["a" * 65]}),
    "one good name and one bad": '{"rotations": ["a", "b/c"]}',
    "a forced rotation": '{"rotations": ["a"], "force": true}',
    "an unforced one": '{"rotations": ["a"], "force": false}',
    "a dry run": '{"rotations": ["a"], "dry_run": true}',
    "a place for the secret": '{"rotations": ["a"], "token_endpoint": "https://evil.example"}',
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_message_names_no_rotation_and_fails(body: str) -> None:
    batch = read(record(body, id="bad"), record({"rotations": ["good"]}, id="good"))
    assert batch.names == ["good"]
    assert batch.failures(summary(good="rotated")) == ["bad"]


@pytest.mark.parametrize("body", [None, 7, {"rotations": ["a"]}])
def test_body_that_is_not_text_is_malformed(body: object) -> None:
    assert read({**record(""), "body": body}).malformed.keys() == {"m"}
    assert read({"messageId": "m", "eventSource": "aws:sqs"}).malformed.keys() == {"m"}


def test_a_malformed_message_is_named_and_never_quoted() -> None:
    batch = read(record(f'{{"client_secret": "{fake_ports.CANARY_SECRET}"}}', id="m-1"))
    (warning,) = queue_messages.warnings(batch, summary())
    assert (
        warning == "message m-1: it is not a JSON object with the names of 1 to 10 rotations; "
        'send {"rotations": ["default"]}'
    )


@pytest.mark.parametrize(
    ("outcome", "comes_again"),
    [("rotated", False), ("fresh", False), ("kept", False), ("busy", False), ("failed", True)],
)
def test_message_fails_only_if_its_rotation_failed(outcome: str, comes_again: bool) -> None:
    batch = read(record({"rotations": ["a"]}))
    assert batch.failures(summary(a=outcome)) == (["m"] if comes_again else [])


def test_message_fails_if_any_of_its_rotations_failed() -> None:
    batch = read(record({"rotations": ["a", "b"]}, id="both"), record({"rotations": ["a"]}, id="one"))
    assert batch.failures(summary(a="rotated", b="failed")) == ["both"]


def test_missing_rotation_gives_a_warning_and_fails_its_message() -> None:
    batch = read(record({"rotations": ["gone"]}, id="m-1"), record({"rotations": ["a"]}, id="m-2"))
    reported = summary(a="fresh")
    assert batch.failures(reported) == ["m-1"]
    assert list(queue_messages.warnings(batch, reported)) == [
        "message m-1: there is no rotation named gone; it may have been deleted since"
    ]


@pytest.mark.parametrize(
    ("age", "received", "is_served"),
    [(0, 1, True), (299, 1, True), (300, 1, False), (7000, 1, False), (300, 2, True)],
    ids=["new", "of this run", "of the run before", "old", "old, but it failed before"],
)
def test_superseded_message_is_dropped_unless_it_failed_before(
    age: float, received: int, is_served: bool
) -> None:
    batch = read(record({"rotations": ["a"]}, age=age, received=received))
    assert (batch.names, batch.superseded) == ((["a"], 0) if is_served else ([], 1))
    assert batch.failures(summary(a="rotated")) == []


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"SentTimestamp": "soon"},
        {"SentTimestamp": "9" * 40, "ApproximateReceiveCount": "1"},
        {"SentTimestamp": None},
    ],
)
def test_a_message_of_unknown_age_is_served(attributes: dict[str, Any]) -> None:
    assert read(record({"rotations": ["a"]}) | {"attributes": attributes}).names == ["a"]


def test_a_message_without_attributes_is_served() -> None:
    bare = record({"rotations": ["a"]})
    del bare["attributes"]
    assert read(bare).names == ["a"]


def test_every_message_that_is_dropped_is_counted() -> None:
    old = [record({"rotations": ["a"]}, id=str(number), age=300) for number in range(3)]
    assert read(*old).superseded == 3


@pytest.mark.parametrize(
    "event",
    [
        None,
        [],
        {},
        {"Records": []},
        {"Records": "aws:sqs"},
        {"Records": [record("{}"), None]},
        {"Records": [record("{}", eventSource="aws:s3")]},
        {"Records": [record("{}") | {"messageId": None}]},
        {"rotations": ["a"]},
    ],
)
def test_other_events_are_not_batches(event: Any) -> None:
    assert not queue_messages.is_batch(event)


def test_queue_event_is_a_batch() -> None:
    assert queue_messages.is_batch({"Records": [record("{}"), record("")]})

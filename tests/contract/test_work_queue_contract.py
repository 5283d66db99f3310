"""The behaviour that a scheduled run needs of the workers' queue: the fake and the adapters have it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest

from fake_ports import FakeWorkQueue
from rotator.adapters.runtime.sqs import SqsWorkQueue
from rotator.devstack.aws_emulators import ADMINISTRATOR
from rotator.devstack.deployment import Account
from rotator.errors import WorkNotSent
from rotator.workers.dispatch import WorkQueue


@dataclass
class Backend:
    """A queue, and a way to receive its messages."""

    queue: WorkQueue
    taken: Callable[[], Sequence[str]]


def _fake() -> Backend:
    queue = FakeWorkQueue()
    return Backend(queue, lambda: queue.messages)


def _sqs(account: Account) -> Backend:
    sqs = account.client("sqs")
    url = sqs.create_queue(QueueName=f"work-{uuid.uuid4().hex}")["QueueUrl"]

    def taken() -> list[str]:
        bodies: list[str] = []
        while found := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            bodies += [message["Body"] for message in found]
        return bodies

    return Backend(SqsWorkQueue(sqs, url), taken)


@pytest.fixture(params=["fake", "sqs"])
def world(request: pytest.FixtureRequest) -> Backend:
    if request.param == "fake":
        return _fake()
    return _sqs(Account(request.getfixturevalue("ministack_endpoint"), ADMINISTRATOR))


def test_sent_messages_are_in_the_queue(world: Backend) -> None:
    assert world.queue.send(["one", '{"rotations": ["two"]}']) == {}
    assert sorted(world.taken()) == ["one", '{"rotations": ["two"]}']


def test_ten_messages_are_sent_at_once(world: Backend) -> None:
    messages = [f"message {number}" for number in range(10)]
    assert world.queue.send(messages) == {}
    assert sorted(world.taken()) == messages


def test_more_than_ten_messages_are_refused_and_none_is_sent(world: Backend) -> None:
    with pytest.raises(WorkNotSent):
        world.queue.send([f"message {number}" for number in range(11)])
    assert world.taken() == []


def test_the_same_message_may_be_sent_twice(world: Backend) -> None:
    world.queue.send(["again", "again"])
    world.queue.send(["again"])
    assert world.taken() == ["again"] * 3

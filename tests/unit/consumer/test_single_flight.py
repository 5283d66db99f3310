"""One call at a time: no thread waits for a call that never began, is over, or is its own."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

import pytest

from rotator.adapters.runtime import aws_client
from rotator.consumer.single_flight import SingleFlight
from token_source_setup import consumer


def always() -> bool:
    return True


def in_a_child(work: Callable[[], str]) -> str:
    """Return the result of ``work`` in a forked process; nothing if it does not finish."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover - another process
        try:
            os.write(write_end, work().encode())
        finally:
            os._exit(0)
    os.close(write_end)
    killer = threading.Timer(20, os.kill, (child, 9))
    killer.start()
    given = os.read(read_end, 100).decode()
    os.close(read_end)
    os.waitpid(child, 0)
    killer.cancel()
    return given


def test_concurrent_joins_share_one_execution() -> None:
    gate, done = threading.Event(), []
    flight = SingleFlight(lambda: done.append(gate.wait(10)))
    joined = [flight.join(always) for _ in range(5)]
    gate.set()
    assert joined[0]
    assert joined[0].wait(10)
    assert joined == [joined[0]] * 5
    assert done == [True]


def test_join_starts_nothing_when_not_wanted() -> None:
    done: list[None] = []
    assert SingleFlight(lambda: done.append(None)).join(lambda: False) is None
    assert done == []


def test_is_wanted_is_evaluated_under_the_lock() -> None:
    flight = SingleFlight(lambda: None)
    assert flight.join(lambda: not flight._lock.locked()) is None


def test_failed_call_releases_waiters_and_clears_in_flight(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    flight = SingleFlight(lambda: 1 // 0)  # type: ignore[arg-type]
    first = flight.join(always)
    assert first
    assert first.wait(10)
    assert flight.in_flight is None


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, MemoryError, TimeoutError])
def test_interrupted_thread_start_leaves_nothing_in_flight(
    monkeypatch: pytest.MonkeyPatch, interruption: type[BaseException]
) -> None:
    def interrupt(_thread: threading.Thread) -> None:
        raise interruption

    made = consumer()
    made.reader.publish("one")
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", interrupt)
        with pytest.raises(interruption):
            made.source.token()
    assert made.source.token() == "one"


def test_read_runs_in_caller_when_no_thread_can_start(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    made = consumer()
    made.reader.publish("one")
    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert made.source.token() == "one"


def test_join_from_inside_the_flight_returns_none() -> None:
    joined: list[threading.Event | None] = []
    flight = SingleFlight(lambda: joined.append(flight.join(always)))
    done = flight.join(always)
    assert done
    assert done.wait(10)
    assert joined == [None]


def test_forked_child_does_not_wait_for_read_of_its_parent() -> None:
    made = consumer()
    made.reader.publish("one")
    made.reader.gate = threading.Event()
    waiting = threading.Thread(target=made.source.token)
    waiting.start()
    assert made.reader.begun.acquire(timeout=10)

    def token() -> str:
        made.reader.gate = None
        return made.source.token()

    assert in_a_child(token) == "one"
    made.reader.gate.set()
    waiting.join()


def test_forked_child_creates_client_while_parent_holds_lock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    aws_client.client("ssm")  # the session's own first steps are botocore's business
    with aws_client._lock:
        assert in_a_child(lambda: type(aws_client.client("ssm")).__name__) == "SSM"

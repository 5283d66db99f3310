"""A hundred threads share a token source: one read per renewal, and no thread blocks another."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from token_source_setup import consumer, in_threads

THREADS = 100
LIFETIME = 450
ROTATED_EVERY = 300


def test_threads_read_once_per_renewal_and_get_valid_tokens() -> None:
    made = consumer()
    ends: dict[str, float] = {}
    presented: list[tuple[str, float]] = []

    def publish(second: int) -> None:
        made.reader.publish(f"token-{second}", lifetime=LIFETIME)
        ends[f"token-{second}"] = second + LIFETIME

    def request(second: int) -> None:
        presented.append((made.source.token(), second))

    with ThreadPoolExecutor(THREADS) as pool:
        for second in range(0, 3600, 5):
            if second % ROTATED_EVERY == 0:
                publish(second)
            list(pool.map(request, [second] * THREADS))
            made.settle()
            made.clocks.advance(5)

    assert len(presented) == THREADS * 720
    assert [each for each in presented if ends[each[0]] <= each[1]] == []
    assert made.reader.reads == len(ends) == 12
    assert made.reader.most_at_once == 1


def test_threads_without_token_share_one_read() -> None:
    made = consumer()
    made.reader.publish("one")
    made.reader.gate = threading.Event()
    given: list[str] = []
    threads = in_threads(THREADS, lambda: given.append(made.source.token()))
    assert made.reader.begun.acquire(timeout=10)
    made.reader.gate.set()
    for thread in threads:
        thread.join(30)
    assert given == ["one"] * THREADS
    assert made.reader.reads == 1


def test_waiting_threads_all_get_error_of_failed_read() -> None:
    made = consumer()
    made.reader.gate = threading.Event()
    given: list[str] = []
    threads = in_threads(THREADS, lambda: given.append(made.token_or_error()))
    assert made.reader.begun.acquire(timeout=10)
    made.reader.gate.set()
    for thread in threads:
        thread.join(30)
    assert given == ["TokenUnavailable"] * THREADS
    assert made.reader.reads < 5  # those that come later may try again


def test_slow_read_does_not_block_threads_with_valid_token() -> None:
    made = consumer()
    made.reader.publish("one")
    made.token()
    made.reader.gate = threading.Event()
    made.clocks.advance(22 * 3600)
    with ThreadPoolExecutor(THREADS) as pool:
        given = list(pool.map(lambda _: made.source.token(), range(10 * THREADS)))
    assert given == ["one"] * 10 * THREADS
    assert made.reader.at_once == 1
    assert made.source._reads._lock.acquire(blocking=False)
    made.source._reads._lock.release()
    made.reader.gate.set()
    made.settle()


@pytest.mark.parametrize("times", [1, 5])
def test_threads_with_rejected_token_share_one_read(times: int) -> None:
    made = consumer()
    made.reader.publish("token-0")
    made.token()
    for number in range(times):
        rejected, newer = f"token-{number}", f"token-{number + 1}"
        made.reader.publish(newer)
        with ThreadPoolExecutor(THREADS) as pool:
            given = list(pool.map(made.source.replacement, [rejected] * THREADS))
        assert given == [newer] * THREADS
    assert made.reader.reads == 1 + times


def test_token_rechecks_need_after_read_of_another_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = consumer()
    made.reader.publish("one")
    join = made.source._reads.join

    def after_somebody_else(is_wanted: Callable[[], bool]) -> threading.Event | None:
        monkeypatch.setattr(made.source._reads, "join", join)
        made.token()
        return join(is_wanted)

    monkeypatch.setattr(made.source._reads, "join", after_somebody_else)
    assert made.source.token() == "one"
    assert made.reader.reads == 1


def test_rejection_during_older_read_starts_a_new_read() -> None:
    made = consumer()
    made.reader.publish("one")
    made.token()
    made.clocks.advance(21 * 3600)
    held_back, made.reader.gate = threading.Event(), threading.Event()
    made.reader.answer_first = True
    made.source.token()  # begins a read, which is answered with "one" and on its way for a while
    assert made.reader.begun.acquire(timeout=10)
    made.reader.publish("two")
    given: list[str | None] = []
    threads = in_threads(THREADS, lambda: given.append(made.source.replacement("one")))
    while sum(thread.is_alive() for thread in threads) < THREADS:
        held_back.wait(0.01)
    made.reader.gate.set()
    for thread in threads:
        thread.join(30)
    assert given == ["two"] * THREADS
    assert made.reader.reads == 3

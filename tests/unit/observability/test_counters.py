"""The counters of a run: threads increment them at the same time, and each count is reported once."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from rotator.observability.metrics import Counters

THREADS = 8
TIMES = 2000


@pytest.fixture
def restless_threads() -> Iterator[None]:
    """Switch between threads as often as the interpreter can."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def test_new_usage_has_zero_counts() -> None:
    assert Counters().take() == Counter(TokenRequests=0, TokenRequestAttempts=0, ThrottledWrites=0)


def test_each_count_adds_up_on_its_own() -> None:
    counters = Counters()
    counters.add(token_requests=1, token_request_attempts=1)
    counters.add(token_request_attempts=3)
    counters.add(throttled_writes=5)
    counters.add(throttled_writes=1)
    assert counters.take() == Counter(TokenRequests=1, TokenRequestAttempts=4, ThrottledWrites=6)


def test_taken_counts_are_not_returned_again() -> None:
    counters = Counters()
    counters.add(token_requests=1, token_request_attempts=2, throttled_writes=3)
    counters.take()
    counters.add(throttled_writes=1)
    assert counters.take() == Counter(ThrottledWrites=1)


@pytest.mark.usefixtures("restless_threads")
def test_concurrent_counts_are_all_added() -> None:
    counters = Counters()

    def count(_thread: int) -> None:
        for _ in range(TIMES):
            counters.add(token_requests=1, token_request_attempts=2, throttled_writes=3)

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(count, range(THREADS)))
    counted = THREADS * TIMES
    assert counters.take() == Counter(
        TokenRequests=counted, TokenRequestAttempts=2 * counted, ThrottledWrites=3 * counted
    )


@pytest.mark.usefixtures("restless_threads")
def test_concurrent_takes_return_each_count_exactly_once() -> None:
    counters = Counters()

    def count_and_take(_thread: int) -> int:
        taken = 0
        for _ in range(TIMES):
            counters.add(token_requests=1)
            taken += counters.take()["TokenRequests"]
        return taken

    with ThreadPoolExecutor(THREADS) as pool:
        taken = sum(pool.map(count_and_take, range(THREADS)))
    assert taken + counters.take()["TokenRequests"] == THREADS * TIMES

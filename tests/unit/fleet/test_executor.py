"""The executors that run the renewals of a run."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from rotator.fleet.executor import InlineExecutor, ThreadExecutor, executor_for


def test_single_task_needs_no_thread() -> None:
    assert isinstance(executor_for(1, 40), InlineExecutor)
    assert isinstance(executor_for(0, 40), InlineExecutor)


def test_inline_task_runs_in_the_calling_thread() -> None:
    ran_in: list[threading.Thread] = []
    with InlineExecutor() as executor:
        executor.start(lambda: ran_in.append(threading.current_thread()))
        executor.wait()
    assert ran_in == [threading.current_thread()]


def test_inline_wait_sleeps_for_the_given_seconds() -> None:
    slept: list[float] = []
    executor = InlineExecutor(slept.append)
    executor.wait(1.5)
    executor.wait(None)
    assert slept == [1.5]


def test_tasks_run_concurrently() -> None:
    barrier = threading.Barrier(3, timeout=30)

    def task() -> None:
        barrier.wait()

    with executor_for(3, 40) as executor:
        for _ in range(3):
            executor.start(task)
        for _ in range(3):
            executor.wait(30)


def test_executor_limits_concurrent_tasks() -> None:
    running, most = 0, 0
    lock = threading.Lock()

    def task() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        threading.Event().wait(0.01)
        with lock:
            running -= 1

    with executor_for(20, 4) as executor:
        for _ in range(20):
            executor.start(task)
        for _ in range(20):
            executor.wait(30)
    assert most <= 4


def test_wait_times_out_while_a_task_is_running() -> None:
    release = threading.Event()

    def task() -> None:
        release.wait(30)

    with ThreadExecutor(1) as executor:
        executor.start(task)
        executor.wait(0.01)
        release.set()
        executor.wait(30)


def failing(error: BaseException) -> Callable[[], None]:
    def task() -> None:
        raise error

    return task


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3), ZeroDivisionError()])
def test_task_error_is_raised_by_wait(error: BaseException) -> None:
    with ThreadExecutor(2) as executor:
        executor.start(failing(error))
        with pytest.raises(type(error)):
            executor.wait(30)


def test_interrupted_executor_finishes_only_running_tasks() -> None:
    ended: list[int] = []

    def task(number: int) -> None:
        threading.Event().wait(0.02)
        ended.append(number)

    def interrupt(executor: ThreadExecutor) -> None:
        for number in range(5):
            executor.start(lambda number=number: task(number))  # type: ignore[misc]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), ThreadExecutor(1) as executor:
        interrupt(executor)
    assert 0 < len(ended) < 5

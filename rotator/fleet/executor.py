"""Runs the renewals of a run, several at a time."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from typing import Protocol

Task = Callable[[], None]


class Executor(Protocol):
    """Runs tasks for one thread, which decides which task starts next."""

    def start(self, task: Task) -> None:
        """Start a task, and return without waiting for its end."""

    def wait(self, seconds: float | None = None) -> None:
        """Wait until a task ends, or for n seconds; raise the exception that a task raised."""


MakeExecutor = Callable[[int, int], AbstractContextManager[Executor]]
"""Makes an executor from the number of tasks and the number that may run at a time."""


class ThreadExecutor(ThreadPoolExecutor):
    """The port Executor with at most ``max_workers`` threads."""

    def __init__(self, max_workers: int) -> None:
        super().__init__(max_workers)
        self._ended: queue.SimpleQueue[Future[None]] = queue.SimpleQueue()

    def start(self, task: Task) -> None:
        """Start a task in a thread."""
        self.submit(task).add_done_callback(self._ended.put)

    def wait(self, seconds: float | None = None) -> None:
        """Wait until one task ends; raise the exception that it raised."""
        with suppress(queue.Empty):
            self._ended.get(timeout=seconds).result()

    def __exit__(self, *_: object) -> None:
        """Wait for the running tasks, and start no other."""
        self.shutdown(cancel_futures=True)


class InlineExecutor(AbstractContextManager["InlineExecutor"]):
    """The port Executor without threads: ``start`` runs the task before it returns."""

    def __init__(self, sleep: Callable[[float], None] = time.sleep) -> None:
        self._sleep = sleep

    def start(self, task: Task) -> None:
        """Run the task."""
        task()

    def wait(self, seconds: float | None = None) -> None:
        """Sleep for n seconds, since no task is running."""
        if seconds:
            self._sleep(seconds)

    def __exit__(self, *_: object) -> None:
        """Do nothing, since no task is running."""


def executor_for(tasks: int, at_a_time: int) -> ThreadExecutor | InlineExecutor:
    """Return an executor for n tasks; a single task needs no thread."""
    return InlineExecutor() if tasks <= 1 else ThreadExecutor(min(tasks, at_a_time))

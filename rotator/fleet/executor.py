"""What carries out the renewals of a run, several at a time."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Protocol

Task = Callable[[], None]


class Executor(Protocol):
    """Carries out tasks. It is used by one thread, which alone decides what begins."""

    def start(self, task: Task) -> None:
        """Begin a task, and return before it has ended."""

    def wait(self, seconds: float | None = None) -> None:
        """Wait until a task ends, or for n seconds; raise the error that ended a task."""


class ThreadExecutor(AbstractContextManager["ThreadExecutor"]):
    """The port Executor on threads, at most ``count`` of them."""

    def __init__(self, count: int) -> None:
        self._pool = ThreadPoolExecutor(max_workers=count)
        self._ended: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()

    def start(self, task: Task) -> None:
        """Begin a task in a thread."""
        self._pool.submit(self._carry_out, task)

    def wait(self, seconds: float | None = None) -> None:
        """Wait for one end; several that came meanwhile are waited for one by one."""
        try:
            error = self._ended.get(timeout=seconds)
        except queue.Empty:
            return
        if error:
            raise error

    def _carry_out(self, task: Task) -> None:
        try:
            task()
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            self._ended.put(error)
        else:
            self._ended.put(None)

    def __exit__(self, *_: object) -> None:
        """Wait for the tasks that have begun, and begin no other."""
        self._pool.shutdown(cancel_futures=True)


class InlineExecutor(AbstractContextManager["InlineExecutor"]):
    """The port Executor without threads: a task is carried out where it begins."""

    def __init__(self, sleep: Callable[[float], None] = time.sleep) -> None:
        self._sleep = sleep

    def start(self, task: Task) -> None:
        """Carry the task out."""
        task()

    def wait(self, seconds: float | None = None) -> None:
        """Let n seconds pass; no task is under way."""
        if seconds:
            self._sleep(seconds)

    def __exit__(self, *_: object) -> None:
        """Do nothing: no task is under way."""


def executor_for(tasks: int, at_a_time: int) -> ThreadExecutor | InlineExecutor:
    """Return an executor for n tasks; most runs have one at most, and need no thread."""
    return InlineExecutor() if tasks <= 1 else ThreadExecutor(min(tasks, at_a_time))

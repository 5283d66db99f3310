"""What carries out the renewals of a run in virtual time: a greenlet each."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from greenlet import getcurrent

from rotator.fleet.executor import Task
from rotator.simulation.timeline import Timeline


class Greenlets(AbstractContextManager["Greenlets"]):
    """The port Executor on processes of a timeline."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self._ended: list[BaseException | None] = []
        self._waiting: Any = None

    def start(self, task: Task) -> None:
        """Begin a task now; it goes on while the caller sleeps or waits."""
        self._timeline.start_at(self._timeline.seconds, lambda: self._carry_out(task))

    def wait(self, seconds: float | None = None) -> None:
        """Wait until a task ends, or for n seconds."""
        if not self._ended:
            self._sleep_until_an_end(seconds)
        if self._ended and (error := self._ended.pop(0)):
            raise error

    def _carry_out(self, task: Task) -> None:
        error: BaseException | None = None
        try:
            task()
        except BaseException as raised:  # noqa: BLE001 - raised where it is waited for
            error = raised
        self._ended.append(error)
        if self._waiting:
            self._timeline.at(self._timeline.seconds, self._wake(self._waiting))

    def _sleep_until_an_end(self, seconds: float | None) -> None:
        self._waiting = waiting = getcurrent()
        if seconds is not None:
            self._timeline.at(self._timeline.seconds + seconds, self._wake(waiting))
        self._timeline.leave()

    def _wake(self, waiting: Any) -> Callable[[], None]:
        """Return what wakes it, unless it has been woken since."""

        def wake() -> None:
            if self._waiting is waiting:
                self._waiting = None
                waiting.switch()

        return wake

    def __exit__(self, *_: object) -> None:
        """Leave what has begun alone: a run that is killed kills it."""

"""The executor of a run's renewals in virtual time: a greenlet for each."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from greenlet import getcurrent

from rotator.fleet.executor import Task
from rotator.simulation.timeline import Timeline


class Greenlets(AbstractContextManager["Greenlets"]):
    """The port Executor on processes of a timeline."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self._finished: list[BaseException | None] = []
        self._waiting: Any = None

    def start(self, task: Task) -> None:
        """Begin a task now; it goes on while the caller sleeps or waits."""
        self._timeline.start_at(self._timeline.seconds, lambda: self._carry_out(task))

    def wait(self, seconds: float | None = None) -> None:
        """Wait until a task ends, or for n seconds; raise the exception that a task raised."""
        if not self._finished:
            self._waiting = getcurrent()
            if seconds is not None:
                self._wake_at(self._timeline.seconds + seconds, self._waiting)
            self._waiting.parent.switch()  # to the events of the timeline
        if self._finished and (error := self._finished.pop(0)):
            raise error

    def _carry_out(self, task: Task) -> None:
        error: BaseException | None = None
        try:
            task()
        except BaseException as raised:  # noqa: BLE001 - raised where it is waited for
            error = raised
        self._finished.append(error)
        if self._waiting:
            self._wake_at(self._timeline.seconds, self._waiting)

    def _wake_at(self, when: float, waiting: Any) -> None:
        def wake() -> None:
            if self._waiting is waiting:  # nothing else has woken it since
                self._waiting = None
                waiting.switch()

        self._timeline.at(when, wake)

    def __exit__(self, *_: object) -> None:
        """Leave tasks that have begun alone: a run that is killed kills them."""

"""Calls to AWS that hang: a run that is cut off by one tells nobody what went wrong."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rotator.errors import CredentialsError, ParameterStoreError
from rotator.ports import Run


class Hanging:
    """How long the last call to a service took to find nobody, if nobody has answered since.

    The threads of a run share it, so that they do not hang one after another.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._seconds: float | None = None

    def could_outlast_the_run(self) -> bool:
        """Whether another call that hangs as long would not end before the run must."""
        return self._seconds is not None and self._run.time_left() <= self._seconds

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Note how a call ends; what it raises is raised."""
        began = self._run.time_left()
        answered = True
        try:
            yield
        except (ParameterStoreError, CredentialsError) as error:
            answered = not error.unreachable
            raise
        finally:
            self._seconds = None if answered else began - self._run.time_left()

"""``rotator rotate --progress``: how far a run is, and what has come of it so far, on standard error."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from rotator.fleet.run import OnResult
from rotator.renewal.models import Outcome, Result

LINE_INTERVAL_SECONDS = 10.0
"""Seconds from one line to the next where no bar can be drawn."""


@contextmanager
def showing(
    total: int, console: Console, *, clock: Callable[[], float] = time.monotonic
) -> Iterator[OnResult]:
    """Give what is to be called with each result, by any thread; it shows how many of ``total`` there are.

    A terminal has a bar, which goes when the run has ended. Anything else, such as a log, gets a line now and
    then, and none of a run that is soon over.
    """
    if not console.is_interactive:
        yield _Lines(total, console, clock).update
        return
    with _bar(console) as bar:
        task, counts = bar.add_task("", total=total), _Counts()
        yield lambda result: bar.update(task, advance=1, description=counts.add(result))


class _Counts:
    """How many results there are of each outcome."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._counts = Counter[Outcome]()

    def add(self, result: Result) -> str:
        """Count one, and say what there is."""
        with self._lock:
            self._counts[result.outcome] += 1
            return ", ".join(f"{self._counts[each]:,} {each}" for each in Outcome if self._counts[each])

    @property
    def total(self) -> int:
        """How many there are."""
        return self._counts.total()


class _Lines:
    """A line now and then."""

    def __init__(self, total: int, console: Console, clock: Callable[[], float]) -> None:
        self._total = total
        self._console = console
        self._clock = clock
        self._lock = Lock()
        self._counts = _Counts()
        self._told_at = clock()

    def update(self, result: Result) -> None:
        """Count it, and print a line if there was none for a while."""
        with self._lock:
            counted = self._counts.add(result)
            if self._clock() - self._told_at >= LINE_INTERVAL_SECONDS:
                self._told_at = self._clock()
                line = f"{self._counts.total:,} of {self._total:,}: {counted}"
                self._console.print(line, soft_wrap=True, highlight=False)


def _bar(console: Console) -> Progress:
    return Progress(
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    )

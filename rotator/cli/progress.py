"""``rotator rotate --progress``: shows a run's progress and outcomes on standard error."""

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
    """Yield a function that any thread calls with each result; it shows how many of ``total`` are done.

    A terminal has a bar, which disappears at the end. A log gets a line every 10 seconds.
    """
    if not console.is_interactive:
        yield _Lines(total, console, clock).update
        return
    with _bar(console) as bar:
        task, counts = bar.add_task("", total=total), _Counts()
        yield lambda result: bar.update(task, advance=1, description=counts.add(result))


class _Counts:
    """Counts results by outcome."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._counts = Counter[Outcome]()

    def add(self, result: Result) -> str:
        """Count a result and return all counts as text."""
        with self._lock:
            self._counts[result.outcome] += 1
            return ", ".join(f"{self._counts[each]:,} {each}" for each in Outcome if self._counts[each])

    @property
    def total(self) -> int:
        """The number of results."""
        return self._counts.total()


class _Lines:
    """Prints a line every 10 seconds."""

    def __init__(self, total: int, console: Console, clock: Callable[[], float]) -> None:
        self._total = total
        self._console = console
        self._clock = clock
        self._lock = Lock()
        self._counts = _Counts()
        self._printed_at = clock()

    def update(self, result: Result) -> None:
        """Count a result, and print a line if the last one is old enough."""
        with self._lock:
            counted = self._counts.add(result)
            if self._clock() - self._printed_at >= LINE_INTERVAL_SECONDS:
                self._printed_at = self._clock()
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

"""``rotator rotate --progress``: shows a run's progress and outcomes on standard error."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
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
    lock, counts, printed_at = Lock(), Counter[Outcome](), clock()
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    bar = Progress(*columns, console=console, transient=True) if console.is_interactive else None
    if bar:
        bar.add_task("", total=total)

    def show(result: Result) -> None:
        nonlocal printed_at
        with lock:
            counts[result.outcome] += 1
            counted = ", ".join(f"{counts[each]:,} {each}" for each in Outcome if counts[each])
            if bar:
                bar.update(bar.task_ids[0], advance=1, description=counted)
            elif clock() - printed_at >= LINE_INTERVAL_SECONDS:
                printed_at = clock()
                console.print(f"{counts.total():,} of {total:,}: {counted}", soft_wrap=True, highlight=False)

    with bar or nullcontext():
        yield show

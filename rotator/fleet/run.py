"""One run: every rotation is tried, each on its own, and every outcome is reported."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from datetime import datetime, timedelta
from threading import Lock
from typing import TYPE_CHECKING, Protocol

from rotator.config.registry import Fleet
from rotator.errors import RotatorError
from rotator.fleet.state_reader import DEFAULT_READERS, Found, read_stored
from rotator.fleet.summary import summarize
from rotator.fleet.urgency import Due
from rotator.fleet.write_rate import WriteRate
from rotator.renewal.guarantee import Guarantee
from rotator.renewal.models import Outcome, Result, Rotation, Stored, Summary
from rotator.renewal.policy import TokenState, token_state
from rotator.renewal.ports import Ports, Run
from rotator.renewal.results import as_stored, busy, failed

if TYPE_CHECKING:
    from rotator.fleet.executor import Executor

OnResult = Callable[[Result], None]


class Enqueue(Protocol):
    """Enqueues due rotations for the workers, and reports each."""

    def __call__(self, due: Sequence[Due], *, run: Run, report: OnResult, next_try: datetime) -> None:
        """Enqueue what is due; ``next_try`` (UTC) is when the next run comes."""


MakeExecutor = Callable[[int, int], AbstractContextManager["Executor"]]
"""Makes an executor from the number of tasks, and how many of them are under way at a time at most."""


def run_fleet(  # noqa: PLR0913 - options by name
    fleet: Fleet,
    ports: Ports,
    run: Run,
    guarantee: Guarantee,
    *,
    write_rate: WriteRate | None = None,
    executor_for: MakeExecutor | None = None,
    readers: int = DEFAULT_READERS,
    force: bool = False,
    dry_run: bool = False,
    on_result: OnResult | None = None,
    stored: Found | None = None,
    enqueue: Enqueue | None = None,
    shared: bool = False,
) -> Summary:
    """Try every rotation and return the summary; a failure of one stops no other, and raises nothing.

    What is due is renewed in the order of its urgency, at the rate of writes, and what the run has no time
    for is left to the next one.

    Args:
        fleet: The rotations.
        ports: Where parameters, secrets and tokens are.
        run: Who renews, and for how long.
        guarantee: The remaining lifetime that consumers are guaranteed.
        write_rate: Of the process; without one, writes are not limited.
        executor_for: Makes the executor of the renewals; by default one with threads.
        readers: How many threads read parameters at a time.
        force: See rotation.rotate.
        dry_run: See rotation.rotate.
        on_result: Is given each outcome as soon as it is known, by any of several threads.
        stored: What was found for each rotation just now, if it was read already.
        enqueue: Enqueues what is due for the workers, instead of its renewal here.
        shared: Whether rotations besides these have a share of the run's time.
    """
    results = _Results(on_result)
    next_try = run.now() + timedelta(seconds=guarantee.schedule_interval)
    for name, error in fleet.broken:
        results.add(failed(name, error, next_try))
    if stored is None:
        stored = read_stored(
            fleet.rotations, ports.parameters, deadline=run.request_deadline, readers=readers
        )
    due = list(_check(fleet.rotations, stored, run, results.add, next_try, force=force))
    if enqueue or len(due) > 1:
        due = list(_not_leased(due, ports, run, results.add, readers))
    if enqueue:
        due, clear = _of_ambiguous_names(due, fleet)
        enqueue(clear, run=run, report=results.add, next_try=next_try)
    left = 0
    if due:
        from rotator.fleet import executor  # most runs renew nothing
        from rotator.fleet.scheduler import MAX_RENEWALS, Scheduler

        scheduler = Scheduler(
            due,
            ports,
            run,
            results.add,
            next_try=next_try,
            write_rate=write_rate or WriteRate(math.inf),
            shared=shared,
            force=force,
            dry_run=dry_run,
        )
        with (executor_for or executor.executor_for)(len(due), MAX_RENEWALS) as carries_out:
            left = scheduler.renew(carries_out)
    return summarize(
        fleet.rotations,
        results.all,
        run,
        guarantee,
        left=left,
        forced=force,
        dry_run=dry_run,
        other_rotations=fleet.other_rotations,
    )


def _check(
    rotations: Sequence[Rotation],
    found: Found,
    run: Run,
    report: OnResult,
    next_try: datetime,
    *,
    force: bool,
) -> Iterator[Due]:
    """Return what is due, and report every other rotation."""
    for rotation in rotations:
        stored = found[rotation.name]
        if isinstance(stored, RotatorError):
            report(failed(rotation.name, stored, next_try))
        elif not force and token_state(rotation, stored, run.now()) is TokenState.FRESH:
            report(as_stored(rotation, stored, Outcome.FRESH))
        else:
            yield Due(rotation=rotation, stored=stored)


def _not_leased(due: Sequence[Due], ports: Ports, run: Run, report: OnResult, readers: int) -> Iterator[Due]:
    """Return what no other run renews just now, with its lease, which shows what failed before.

    A lease that cannot be read stops nothing here: the renewal reads it again, and reports why.
    """
    found = read_stored(
        [each.rotation for each in due],
        ports.parameters,
        leases_at=run.now(),
        deadline=run.deadline.earlier_by(run.budget / 2),  # the order is worth no more
        readers=readers,
    )
    for each in due:
        stored = found[each.rotation.name]
        if not isinstance(stored, Stored):
            yield each
        elif stored.lease.held_until:
            report(busy(each.rotation, stored, stored.lease.held_until))
        else:
            yield Due(rotation=each.rotation, stored=stored)


def _of_ambiguous_names(due: Sequence[Due], fleet: Fleet) -> tuple[list[Due], list[Due]]:
    """Return what has a name that another rotation document has, too, and what a worker finds by its name."""
    ambiguous = {name for name, _ in fleet.broken}
    clear = [each for each in due if each.rotation.name not in ambiguous]
    return [each for each in due if each.rotation.name in ambiguous], clear


class _Results:
    """The results so far."""

    def __init__(self, on_result: OnResult | None) -> None:
        self._on_result = on_result
        self._lock = Lock()
        self.all: list[Result] = []

    def add(self, result: Result) -> None:
        with self._lock:
            self.all.append(result)
        if self._on_result:
            with suppress(Exception):  # whoever watches must not stop what is watched
                self._on_result(result)

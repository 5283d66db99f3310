"""One run: every rotation is tried, each on its own, and every outcome is reported."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from rotator.config.registry import Fleet
from rotator.errors import RotatorError
from rotator.fleet.state_reader import DEFAULT_READERS, StoredByName, read_stored
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


Enqueue = Callable[[Sequence[Due], Run, OnResult, datetime], None]
"""Enqueues due rotations for the workers and reports each; the time (UTC) is that of the next run."""

MakeExecutor = Callable[[int, int], AbstractContextManager["Executor"]]
"""Makes an executor from the number of tasks, and how many may run at a time."""


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
    stored: StoredByName | None = None,
    enqueue: Enqueue | None = None,
    shared: bool = False,
) -> Summary:
    """Renew what is due, in the order of its urgency and at the write rate; return the summary.

    A failure of one rotation does not stop the others and is not raised. A rotation for which the run has no
    time is postponed to the next run.

    Args:
        fleet: The rotations.
        ports: Where parameters, secrets and tokens are.
        run: Who renews, and for how long.
        guarantee: The remaining lifetime that consumers are guaranteed.
        write_rate: The limit of the process; without one, writes are not limited.
        executor_for: Makes the executor of the renewals; by default one with threads.
        readers: How many threads read parameters at a time.
        force: See renew.rotate.
        dry_run: See renew.rotate.
        on_result: Is called with each result as soon as it is known, from any of several threads.
        stored: What is stored for each rotation, if it was read just now.
        enqueue: Enqueues what is due for the workers, instead of a renewal here.
        shared: Whether other rotations need a part of the run's time.
    """
    results: list[Result] = []

    def report(result: Result) -> None:
        results.append(result)
        if on_result:
            with suppress(Exception):  # a defect of the observer must not stop the run
                on_result(result)

    next_try = run.now() + timedelta(seconds=guarantee.schedule_interval)
    for name, error in fleet.broken:
        report(failed(name, error, next_try))
    if stored is None:
        stored = read_stored(
            fleet.rotations, ports.parameters, deadline=run.request_deadline, readers=readers
        )
    due = list(_check(fleet.rotations, stored, run, report, next_try, force=force))
    if enqueue or len(due) > 1:
        due = list(_not_leased(due, ports, run, report, readers))
    if enqueue:
        # A worker finds a rotation by its name, which must not be that of a broken document, too.
        ambiguous = {name for name, _ in fleet.broken}
        clear = [each for each in due if each.rotation.name not in ambiguous]
        enqueue(clear, run, report, next_try)
        due = [each for each in due if each.rotation.name in ambiguous]
    postponed = 0
    if due:
        from rotator.fleet import executor  # most runs renew nothing
        from rotator.fleet.scheduler import MAX_RENEWALS, Scheduler

        scheduler = Scheduler(
            due=due,
            ports=ports,
            run=run,
            report=report,
            next_try=next_try,
            write_rate=write_rate or WriteRate(math.inf),
            shared=shared,
            force=force,
            dry_run=dry_run,
        )
        with (executor_for or executor.executor_for)(len(due), MAX_RENEWALS) as tasks:
            postponed = scheduler.renew(tasks)
    return summarize(fleet, results, run, guarantee, postponed=postponed, forced=force, dry_run=dry_run)


def _check(
    rotations: Sequence[Rotation],
    found: StoredByName,
    run: Run,
    report: OnResult,
    next_try: datetime,
    *,
    force: bool,
) -> Iterator[Due]:
    """Return the due rotations, and report every other one."""
    for rotation in rotations:
        stored = found[rotation.name]
        if isinstance(stored, RotatorError):
            report(failed(rotation.name, stored, next_try))
        elif not force and token_state(rotation, stored, run.now()) is TokenState.FRESH:
            report(as_stored(rotation, stored, Outcome.FRESH))
        else:
            yield Due(rotation=rotation, stored=stored)


def _not_leased(due: Sequence[Due], ports: Ports, run: Run, report: OnResult, readers: int) -> Iterator[Due]:
    """Return the due rotations whose lease no run holds, and report the others.

    A lease that cannot be read does not matter here: the renewal reads it again, and reports why.
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

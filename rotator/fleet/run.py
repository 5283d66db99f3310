"""One run: renews the due rotations independently of each other, and reports the result of each."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from rotator.config.registry import Fleet
from rotator.errors import RotatorError
from rotator.fleet.state_reader import DEFAULT_READERS, StoredByName, read_stored
from rotator.fleet.summary import summarize
from rotator.fleet.urgency import Due
from rotator.fleet.write_rate import WriteRate
from rotator.renewal.guarantee import Guarantee
from rotator.renewal.models import Outcome, Result, Stored, Summary
from rotator.renewal.policy import TokenState, token_state
from rotator.renewal.ports import Ports, Run
from rotator.renewal.results import as_stored, busy, failed

if TYPE_CHECKING:
    from rotator.fleet.executor import MakeExecutor

OnResult = Callable[[Result], None]

Enqueue = Callable[[Sequence[Due], Run, OnResult], None]
"""Enqueues due rotations for the workers and reports each."""


def run_fleet(  # noqa: PLR0913 - options by name
    fleet: Fleet,
    ports: Ports,
    run: Run,
    guarantee: Guarantee,
    *,
    write_rate: WriteRate | None = None,
    executor_for: MakeExecutor | None = None,
    readers: int = DEFAULT_READERS,
    on_result: OnResult | None = None,
    stored: StoredByName | None = None,
    enqueue: Enqueue | None = None,
    shared: bool = False,
) -> Summary:
    """Renew the due rotations, the most urgent first, within the write rate; return the summary.

    A failure of one rotation does not stop the others and is not raised. If the run has no time for a
    rotation, it leaves that rotation to the next run.

    ``on_result`` is called with each result as soon as it is known, from any of several threads. ``stored``
    is the stored state of each rotation, if it was just read. ``enqueue`` enqueues the due rotations for the
    workers, which then renew them. ``shared`` limits the retries of each rotation because other rotations
    share the run's time. By default, writes are not limited.
    """
    results: list[Result] = []

    def report(result: Result) -> None:
        results.append(result)
        if on_result:
            with suppress(Exception):  # an exception of the callback must not stop the run
                on_result(result)

    run = replace(run, next_run=run.now() + timedelta(seconds=guarantee.schedule_interval))
    if stored is None:
        stored = read_stored(
            fleet.rotations, ports.parameters, deadline=run.request_deadline, readers=readers
        )
    due = list(_check(fleet, stored, run, report))
    if enqueue or len(due) > 1:
        due = list(_not_leased(due, ports, run, report, readers))
    if enqueue:
        # A worker finds a rotation by its name. One whose name a broken document also has is renewed here.
        broken = {name for name, _ in fleet.broken}
        enqueue([each for each in due if each.rotation.name not in broken], run, report)
        due = [each for each in due if each.rotation.name in broken]
    postponed = 0
    if due:
        from rotator.fleet.scheduler import Scheduler  # most runs renew nothing

        scheduler = Scheduler(
            due=due,
            ports=ports,
            run=run,
            report=report,
            write_rate=write_rate or WriteRate(math.inf),
            shared=shared,
        )
        postponed = scheduler.renew(executor_for)
    return summarize(fleet, results, run, guarantee, postponed=postponed)


def _check(fleet: Fleet, found: StoredByName, run: Run, report: OnResult) -> Iterator[Due]:
    """Yield the due rotations, and report all others."""
    for name, error in fleet.broken:
        report(failed(name, error, run))
    for rotation in fleet.rotations:
        stored = found[rotation.name]
        if isinstance(stored, RotatorError):
            report(failed(rotation.name, stored, run))
        elif not run.force and token_state(rotation, stored, run.now()) is TokenState.FRESH:
            report(as_stored(rotation, stored, Outcome.FRESH))
        else:
            yield Due(rotation=rotation, stored=stored)


def _not_leased(due: Sequence[Due], ports: Ports, run: Run, report: OnResult, readers: int) -> Iterator[Due]:
    """Yield the due rotations whose lease is free, and report those whose lease another run holds.

    If a lease cannot be read, its rotation is yielded: the renewal reads it again and reports the error.
    """
    found = read_stored(
        [each.rotation for each in due],
        ports.parameters,
        leases_at=run.now(),
        deadline=run.deadline.earlier_by(run.budget / 2),  # the other half is for the renewals
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

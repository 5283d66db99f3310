"""One run: every rotation is tried, each on its own, and every outcome is told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock

from rotator.contract import Contract
from rotator.errors import RotatorError, SettingsError
from rotator.failure import failed, failed_with
from rotator.model import Result, Rotation, Stored, Summary
from rotator.naming import unknown
from rotator.ports import Ports, Run, WorkQueue
from rotator.rotation import look
from rotator.stored import Found, read_stored
from rotator.summary import summarize
from rotator.waiting import Due
from rotator.work import hand_over

OnResult = Callable[[Result], None]

OTHERS = 1000
"""Rotations that a worker leaves out: it does not count them, and there are more than a few."""


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """The rotations to serve, and by name what is wrong with those that cannot be.

    ``left_out`` counts those that exist besides.
    """

    rotations: tuple[Rotation, ...]
    broken: tuple[tuple[str, SettingsError], ...] = ()
    left_out: int = 0

    @property
    def names(self) -> set[str]:
        """The names of all of them."""
        return {rotation.name for rotation in self.rotations} | {name for name, _ in self.broken}

    def only(self, names: Sequence[str]) -> Fleet:
        """Return the rotations of these names, or all of them if no name is given.

        Raises SettingsError for a name that no rotation has.
        """
        if not names:
            return self
        wanted = frozenset(names)
        known = self.names
        for name in names:
            if name not in known:
                raise unknown(name, known)
        rotations = tuple(r for r in self.rotations if r.name in wanted)
        broken = tuple(b for b in self.broken if b[0] in wanted)
        left_out = len(self.rotations) + len(self.broken) - len(rotations) - len(broken)
        return Fleet(rotations=rotations, broken=broken, left_out=left_out)

    def for_worker(self, names: Sequence[str]) -> Fleet:
        """Return the rotations of those of the names that there are, as one worker among others serves them.

        Of two documents with one name a tick tells; the rotation that has it is served.
        """
        rotations = tuple(r for r in self.rotations if r.name in names)
        served = {rotation.name for rotation in rotations}
        broken = tuple(b for b in self.broken if b[0] in names and b[0] not in served)
        return Fleet(rotations=rotations, broken=broken, left_out=OTHERS)


def run_fleet(  # noqa: PLR0913 - options by name
    fleet: Fleet,
    ports: Ports,
    run: Run,
    contract: Contract,
    *,
    force: bool = False,
    dry_run: bool = False,
    on_result: OnResult | None = None,
    stored: Found | None = None,
    open_queue: Callable[[], WorkQueue] | None = None,
    shared: bool = False,
) -> Summary:
    """Try every rotation and return the summary; it raises nothing for a failed one.

    What is due is begun soonest expiry first, at the pace of the writes, and what the run has no time for is
    left to the next. ``on_result`` is told each outcome as soon as it is known, by any of several threads.
    ``stored`` is what was found for each rotation just now, if it was read already.
    With ``open_queue`` what is due is not begun, but handed over to the workers. With ``shared`` it is one of
    many such runs, whose rotations have no more than their share of its time.
    """
    if not fleet.left_out:
        run.memory.forget_all_but(fleet.names)
    told = _Told(on_result)
    next_try = run.now() + timedelta(seconds=contract.schedule_interval)
    for name, error in fleet.broken:
        told.tell(failed(name, error, next_try))
    if stored is None:
        stored = read_stored(fleet.rotations, ports.parameters, time_left=run.time_for_requests)
    looked_at = [_look(r, stored[r.name], run, next_try, force=force) for r in fleet.rotations]
    due = [each for each in looked_at if isinstance(each, Due)]
    for each in looked_at:
        if isinstance(each, Result):
            told.tell(each)
    here = _hand_over(due, fleet, open_queue, run, told.tell, next_try) if open_queue else due
    left = 0
    if here:
        from rotator.renewals import Renewals  # most runs have none

        renewals = Renewals(due=here, ports=ports, run=run, tell=told.tell, next_try=next_try, shared=shared)
        left = renewals.serve(force=force, dry_run=dry_run)
    return summarize(
        fleet.rotations,
        told.results,
        run,
        contract,
        left=left,
        forced=force,
        dry_run=dry_run,
        left_out=fleet.left_out,
    )


def _hand_over(
    due: Sequence[Due],
    fleet: Fleet,
    open_queue: Callable[[], WorkQueue],
    run: Run,
    tell: OnResult,
    next_try: datetime,
) -> list[Due]:
    """Hand over what workers find by name; return what has a name that another document has, too."""
    ambiguous = {name for name, _ in fleet.broken}
    clear = [each for each in due if each.rotation.name not in ambiguous]
    if clear:
        hand_over(clear, open_queue(), run=run, tell=tell, next_try=next_try)
    else:
        run.memory.remember_handed_over({})
    return [each for each in due if each.rotation.name in ambiguous]


class _Told:
    """The results so far."""

    def __init__(self, on_result: OnResult | None) -> None:
        self._on_result = on_result
        self._lock = Lock()
        self.results: list[Result] = []

    def tell(self, result: Result) -> None:
        with self._lock:
            self.results.append(result)
        if self._on_result:
            with suppress(Exception):  # whoever watches must not stop what he watches
                self._on_result(result)


def _look(
    rotation: Rotation, found: Stored | RotatorError, run: Run, next_try: datetime, *, force: bool
) -> Due | Result:
    """Say what is to be renewed; of the others, the outcome."""
    if isinstance(found, RotatorError):
        return failed(rotation.name, found, next_try)
    try:
        settled = look(rotation, found, run, force=force)
    except RotatorError as error:
        return failed_with(rotation, found, error, now=run.now(), next_try=next_try)
    return settled or Due(rotation=rotation, stored=found)

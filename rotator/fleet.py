"""One run: every rotation is tried, each on its own, and every outcome is told."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from threading import Lock

from rotator import rollover
from rotator.contract import Contract
from rotator.errors import RotatorError, SettingsError
from rotator.failure import failed, failed_with
from rotator.model import Outcome, Result, Rotation, Stored, Summary
from rotator.policy import describe_seconds, seconds_until
from rotator.ports import Ports, Run, WorkQueue
from rotator.rotation import look
from rotator.stored import Found, read_stored
from rotator.waiting import Due
from rotator.work import hand_over

OnResult = Callable[[Result], None]

OTHERS = 1000
"""Rotations that a worker leaves out: it does not count them, and there are more than a few."""

NAMED = 10
"""Names that are told of hundreds."""

WARNINGS_OF_A_KIND = 10
"""So many are told one by one; of the others only how many there are."""


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
                more = f" and {len(known) - NAMED:,} more" if len(known) > NAMED else ""
                raise SettingsError(
                    f"there is no rotation named {name[:64]!r}",
                    advice="name one of: " + ", ".join(sorted(known)[:NAMED]) + more,
                )
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
) -> Summary:
    """Try every rotation and return the summary; it raises nothing for a failed one.

    What is due is begun soonest expiry first, at the pace of the writes, and what the run has no time for is
    left to the next. ``on_result`` is told each outcome as soon as it is known, by any of several threads.
    ``stored`` is what was found for each rotation just now, if it was read already.
    With ``open_queue`` what is due is not begun, but handed over to the workers.
    """
    told = _Told(on_result)
    next_try = run.now() + timedelta(seconds=contract.schedule_interval)
    for name, error in fleet.broken:
        told.tell(failed(name, error, next_try))
    if stored is None:
        stored = read_stored(fleet.rotations, ports.parameters, time_left=run.time_for_requests)
    due: list[Due] = []
    for rotation in fleet.rotations:
        found = _look(rotation, stored[rotation.name], run, next_try, force=force)
        if isinstance(found, Due):
            due.append(found)
        else:
            told.tell(found)
    left = 0
    if open_queue:
        # A worker finds a rotation by its name, and must not find another document of that name.
        ambiguous = {name for name, _ in fleet.broken}
        handed_over = [each for each in due if each.rotation.name not in ambiguous]
        due = [each for each in due if each.rotation.name in ambiguous]
        if handed_over:
            hand_over(handed_over, open_queue(), run=run, tell=told.tell, next_try=next_try)
    if due:
        from rotator.renewals import Renewals  # most runs have none

        renewals = Renewals(
            due=due,
            ports=ports,
            run=run,
            tell=told.tell,
            next_try=next_try,
            force=force,
            dry_run=dry_run,
        )
        left = renewals.serve()
    results = sorted(told.results, key=lambda result: result.name)
    return Summary(
        results=tuple(results),
        warnings=(
            *_left_warnings(left, len(due)),
            *_shortened(rollover.warnings(results)),
            *_shortened(_kept_warnings(results, run)),
            *_shortened(_overlap_warnings(fleet, results, run, contract)),
        ),
        dry_run=dry_run,
        left_out=fleet.left_out,
    )


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


def _shortened(warnings: Iterable[str]) -> Iterator[str]:
    """A fleet may have the same trouble a thousand times."""
    rest = iter(warnings)
    yield from islice(rest, WARNINGS_OF_A_KIND)
    more = sum(1 for _ in rest)
    if more:
        yield f"{more} more rotations have a warning like the one before"


def _left_warnings(left: int, due: int) -> Iterator[str]:
    if left:
        yield (
            f"{left} of {due} due rotations are left to the next run; if that goes on, allow more writes a "
            "second (ROTATOR_WRITES_PER_SECOND) if the account does, or more time (TimeoutSeconds)"
        )


def _kept_warnings(results: Sequence[Result], run: Run) -> Iterator[str]:
    """Say which stored tokens run out while the endpoint gives none that lives longer."""
    for result in results:
        if result.outcome is Outcome.KEPT and result.late and result.expires_at:
            left = describe_seconds(seconds_until(result.expires_at, run.now()))
            yield (
                f"rotation {result.name}: the endpoint gives no token that outlives the stored one, "
                f"which has {left} left; ask its operator until when it repeats a token"
            )


def _overlap_warnings(fleet: Fleet, results: Sequence[Result], run: Run, contract: Contract) -> Iterator[str]:
    """Say which consumers may present a dead token: worth a warning, never a reason to stop."""
    lifetimes = {result.name: result.lifetime for result in results}
    actual = replace(contract, run_budget=run.budget)
    for rotation in fleet.rotations:
        lifetime = lifetimes.get(rotation.name)
        problem = actual.problem(lifetime, rotation.renew_at) if lifetime else None
        if problem:
            yield f"rotation {rotation.name}: {problem}"

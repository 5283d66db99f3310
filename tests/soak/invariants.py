"""The invariants of interleaved runs: in every state, and after all runs are over."""

from __future__ import annotations

from datetime import timedelta
from typing import NoReturn

from rotator.renewal import policy
from rotator.renewal.models import Outcome, Stored
from rotator.renewal.policy import TokenState
from rotator.simulation.calls import Call
from soak.explored_run import ExploredRun, Fault
from soak.initial_states import FRESH_AGE, ROTATION
from soak.interleaved_runs import Choice, InterleavedRuns


class InvariantViolated(Exception):
    """An invariant is violated; the message ends with the choices that lead to the violation."""


def check_step(runs: InterleavedRuns, choice: Choice) -> None:
    """Make a choice and check the invariants after it.

    Raises:
        InvariantViolated: An invariant is violated.
    """
    before = runs.stored
    runs.step(choice)
    run = runs.runs[choice.run]
    if run.defect:
        _violate(runs, f"the job has a defect: {run.defect}")
    holders = [each.number for each in runs.runs if each.holds_lease and runs.now < each.expires_at]
    if len(holders) > 1:
        _violate(runs, f"runs {holders} hold the lease at once")
    _check_stored(runs, before, run)


def _check_stored(runs: InterleavedRuns, before: Stored, run: ExploredRun) -> None:
    known, stored = before.token_status, runs.stored
    if _is_fresh(runs, before) and not _is_fresh(runs, stored):
        # A forced run marks the token due before its request; a token counts as known with its status.
        is_marked = run.forced and run.last_call is Call.WRITE_STATUS
        is_half_published = run.budget and run.last_call is Call.WRITE_TOKEN
        if not (is_marked or is_half_published):
            _violate(runs, "a fresh token is not fresh any more")
    if known and stored.status and stored.status.parameter_version < known.parameter_version:
        _violate(runs, "the status names an older token than before")
    is_quiet = not any(each.holds_lease for each in runs.runs) and not runs.may_be_unfinished
    if is_quiet and stored.token_version and stored.token_status is None:
        _violate(runs, "no run holds the lease, and the status names another token than the stored one")


def check_end(runs: InterleavedRuns) -> None:
    """Check the invariants after all runs, and that another run then leaves a fresh token.

    Raises:
        InvariantViolated: An invariant is violated.
    """
    faults = {choice.fault for choice in runs.path}
    forced = sum(runs.start.forced)
    due = runs.start.age != FRESH_AGE and forced < len(runs.start.forced)
    is_settled = not runs.may_be_unfinished and Fault.REJECTED not in faults
    if is_settled and runs.token_requests > forced + due:
        _violate(runs, f"there were {runs.token_requests} token requests")
    if _serve_alone(runs) == Outcome.BUSY:
        if not (runs.may_be_unfinished or runs.may_stay_held or Fault.REPEATED in faults):
            _violate(runs, "a lease is held although all runs are over")
        runs.now += timedelta(seconds=runs.start.longest + 2)
        _serve_alone(runs)
    if not _is_fresh(runs, runs.stored):
        _violate(runs, "another run leaves a token that is not fresh")


def _serve_alone(runs: InterleavedRuns) -> str | None:
    """Carry out another run, and return its outcome."""
    run = runs.add_run()
    while not run.is_done:
        check_step(runs, Choice(run.number))
    return run.outcome


def _is_fresh(runs: InterleavedRuns, stored: Stored) -> bool:
    return policy.token_state(ROTATION, stored, runs.now) is TokenState.FRESH


def _violate(runs: InterleavedRuns, violation: str) -> NoReturn:
    path = "; ".join(map(str, runs.path))
    raise InvariantViolated(f"{runs.start.name}: {violation}, after {path}")

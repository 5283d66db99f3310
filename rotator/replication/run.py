"""Serves rotations in the home Region, and copies their tokens to replicas in other Regions.

The home Region comes first: a token is copied once it is stored there with its status, and a failed copy does
not affect it. The next scheduled run detects a replica that is behind and writes it, without a token request.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from rotator.errors import RotatorError
from rotator.fleet.run import OnResult
from rotator.fleet.state_reader import StoredByName, read_stored
from rotator.fleet.summary import shortened
from rotator.renewal.models import Outcome, Result, Rotation, Stored, Summary
from rotator.renewal.policy import TokenState, token_state
from rotator.renewal.ports import ParameterStore, Run
from rotator.replication.region_copies import RegionCopies, Replica


def serve_with_replicas(  # noqa: PLR0913 - options by name
    serve: Callable[..., Summary],
    rotations: Sequence[Rotation],
    regions: Sequence[Replica],
    home: ParameterStore,
    run: Run,
    *,
    stored: StoredByName | None = None,
    on_result: OnResult | None = None,
    **options: object,
) -> Summary:
    """Serve the rotations in the home Region and update their replicas; return the summary of both.

    ``serve`` does the former, with the options of ``fleet.run.run_fleet``.
    """
    by_name = {rotation.name: rotation for rotation in rotations}
    if stored is None:
        stored = read_stored(rotations, home, deadline=run.request_deadline)
    valid = [r for r in rotations if _is_valid(r, stored[r.name], run.now())]
    copies = [RegionCopies(region, home, run) for region in regions]

    def report(result: Result) -> None:
        if result.outcome is Outcome.ROTATED:
            for each in copies:
                each.copy(by_name[result.name])
        if on_result:
            on_result(result)

    if valid and not run.force:  # a forced run replaces all tokens
        for each in copies:  # before the renewals, which may take all the time of the run
            each.compare(valid, stored)
    summary = serve(stored=stored, on_result=report, **options)
    for each in copies:
        each.finish()
    results = (
        replace(result, replicas_behind=tuple(c.region for c in copies if result.name in c.errors))
        for result in summary.results
    )
    warnings = (warning for each in copies for warning in shortened(each.warnings()))
    return replace(summary, results=tuple(results), warnings=(*summary.warnings, *warnings))


def _is_valid(rotation: Rotation, found: Stored | RotatorError, now: datetime) -> bool:
    states = (TokenState.FRESH, TokenState.DUE)
    return isinstance(found, Stored) and token_state(rotation, found, now) in states

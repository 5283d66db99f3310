"""The summary of a run: every result, and warnings for the operator."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice

from rotator.config.registry import Fleet
from rotator.errors import MORE_TIME, MORE_WRITES
from rotator.oauth.models import Stage
from rotator.renewal.durations import describe_seconds, seconds_until
from rotator.renewal.guarantee import Guarantee
from rotator.renewal.models import Outcome, Result, Rotation, Summary
from rotator.renewal.policy import SET_TOKEN_LIFETIME
from rotator.renewal.ports import Run

MAX_WARNINGS_OF_A_KIND = 10
"""The others are counted."""


def summarize(  # noqa: PLR0913 - options by name
    fleet: Fleet,
    results: Iterable[Result],
    run: Run,
    guarantee: Guarantee,
    *,
    postponed: int = 0,
    forced: bool = False,
    dry_run: bool = False,
) -> Summary:
    """Return the results in order, with the warnings.

    Args:
        fleet: The rotations of the run.
        results: Their results.
        run: The run.
        guarantee: The remaining lifetime that consumers are guaranteed.
        postponed: How many renewals the run had no time for.
        forced: Whether renewals were forced, which no later run does by itself.
        dry_run: Whether nothing was changed.
    """
    ordered = sorted(results, key=lambda result: result.name)
    return Summary(
        results=tuple(ordered),
        warnings=(
            *_postponed_warnings(postponed, forced=forced),
            *shortened(_rollover_warnings(ordered)),
            *shortened(f"rotation {result.name}: {w}" for result in ordered for w in result.warnings),
            *shortened(_lifetime_warnings(ordered, run)),
            *shortened(_kept_warnings(ordered, run)),
            *shortened(_overlap_warnings(fleet.rotations, ordered, run, guarantee)),
        ),
        dry_run=dry_run,
        other_rotations=fleet.other_rotations,
    )


def shortened(warnings: Iterable[str]) -> Iterator[str]:
    """Return the first warnings of a kind, and how many more there are."""
    rest = iter(warnings)
    yield from islice(rest, MAX_WARNINGS_OF_A_KIND)
    more = sum(1 for _ in rest)
    if more:
        yield f"{more} more warnings like the one before"


def _postponed_warnings(postponed: int, *, forced: bool) -> Iterator[str]:
    ways = f"{MORE_WRITES}, or {MORE_TIME}"
    if postponed and forced:
        what = f"{postponed} rotations were not forced, because the run's time was over"
        yield f"{what}: run it again, with their names; for more in a run, {ways}"
    elif postponed:
        yield f"{postponed} due rotations are left to the next run; if that lasts, {ways}"


def _rollover_warnings(results: Sequence[Result]) -> Iterable[str]:
    if all(result.secret_stage is Stage.CURRENT for result in results):
        return ()
    from rotator.renewal import secret_rollover

    return secret_rollover.warnings(results)


def _kept_warnings(results: Sequence[Result], run: Run) -> Iterator[str]:
    """Return a warning for each token that expires soon and that the endpoint does not renew."""
    for result in results:
        if result.outcome is Outcome.KEPT and result.late and result.expires_at:
            left = describe_seconds(seconds_until(result.expires_at, run.now()))
            yield (
                f"rotation {result.name}: the endpoint keeps returning tokens that expire no later than the "
                f"stored one, which has {left} left; ask the provider how long it caches tokens"
            )


def _lifetime_warnings(results: Sequence[Result], run: Run) -> Iterator[str]:
    """Say which tokens live much shorter or longer than expected: alarms and schedule go by that."""
    expected = run.expected_lifetime
    for result in results:
        if expected and result.lifetime and expected.is_far_from(result.lifetime):
            yield (
                f"rotation {result.name}: its token lives {describe_seconds(result.lifetime)}, and the "
                f"expected lifetime is {expected}; {SET_TOKEN_LIFETIME}, or lifetime if the answer is wrong"
            )


def _overlap_warnings(
    rotations: Sequence[Rotation], results: Sequence[Result], run: Run, guarantee: Guarantee
) -> Iterator[str]:
    """Return a warning for each rotation whose consumers may present an expired token."""
    lifetimes = {result.name: result.lifetime for result in results}
    actual = replace(guarantee, run_budget=run.budget)
    for rotation in rotations:
        lifetime = lifetimes.get(rotation.name)
        problem = actual.problem(lifetime, rotation.renew_at) if lifetime else None
        if problem:
            yield f"rotation {rotation.name}: {problem}"

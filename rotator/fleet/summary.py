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
"""The summary only counts the other warnings."""


def summarize(
    fleet: Fleet, results: Iterable[Result], run: Run, guarantee: Guarantee, *, postponed: int = 0
) -> Summary:
    """Return the results by name, with warnings; ``postponed`` counts the renewals left to the next run."""
    ordered = sorted(results, key=lambda result: result.name)
    return Summary(
        results=tuple(ordered),
        warnings=(
            *_postponed_warnings(postponed, run),
            *shortened(_rollover_warnings(ordered)),
            *shortened(f"rotation {result.name}: {w}" for result in ordered for w in result.warnings),
            *shortened(_lifetime_warnings(ordered, run)),
            *shortened(_kept_warnings(ordered, run)),
            *shortened(_overlap_warnings(fleet.rotations, ordered, run, guarantee)),
        ),
        dry_run=run.dry_run,
        other_rotations=fleet.other_rotations,
    )


def shortened(warnings: Iterable[str]) -> Iterator[str]:
    """Yield the first warnings of a kind, and the number of the other ones."""
    rest = iter(warnings)
    yield from islice(rest, MAX_WARNINGS_OF_A_KIND)
    more = sum(1 for _ in rest)
    if more:
        yield f"{more} more warnings of this kind"


def _postponed_warnings(postponed: int, run: Run) -> Iterator[str]:
    ways = f"{MORE_WRITES}, or {MORE_TIME}"
    if postponed and run.force:  # no later run forces them
        problem = f"rotations not renewed because the run's time ran out: {postponed}"
        yield f"{problem}; force them again by name; to renew more rotations in one run, {ways}"
    elif postponed:
        yield f"due rotations postponed to the next run for lack of time: {postponed}; if that lasts, {ways}"


def _rollover_warnings(results: Sequence[Result]) -> Iterator[str]:
    """Yield a warning for each token that was issued for another stage than AWSCURRENT."""
    for result in results:
        if result.secret_stage is not Stage.CURRENT:
            from rotator.renewal.secret_rollover import NEXT_STEP  # few runs need it

            yield (
                f"rotation {result.name}: the token endpoint refused the client with AWSCURRENT and "
                f"accepted {result.secret_stage}; {NEXT_STEP[result.secret_stage]}"
            )


def _kept_warnings(results: Sequence[Result], run: Run) -> Iterator[str]:
    """Yield a warning for each token that expires soon and that the endpoint does not renew."""
    for result in results:
        if result.outcome is Outcome.KEPT and result.late and result.expires_at:
            remaining = describe_seconds(seconds_until(result.expires_at, run.now()))
            yield (
                f"rotation {result.name}: the endpoint keeps returning tokens that expire no later than the "
                f"stored one, which expires in {remaining}; ask the provider how long it caches tokens"
            )


def _lifetime_warnings(results: Sequence[Result], run: Run) -> Iterator[str]:
    """Yield a warning for each lifetime far from the expected one, on which alarms and schedule depend."""
    expected = run.expected_lifetime
    for result in results:
        if expected and result.lifetime and expected.is_far_from(result.lifetime):
            yield (
                f"rotation {result.name}: its token has a lifetime of {describe_seconds(result.lifetime)}, "
                f"and the expected lifetime is {expected}; {SET_TOKEN_LIFETIME}, or set `lifetime` of the "
                "rotation if the endpoint reports a wrong one"
            )


def _overlap_warnings(
    rotations: Sequence[Rotation], results: Sequence[Result], run: Run, guarantee: Guarantee
) -> Iterator[str]:
    """Yield a warning for each rotation whose consumers may present an expired token."""
    lifetimes = {result.name: result.lifetime for result in results}
    actual = replace(guarantee, run_budget=run.budget)
    for rotation in rotations:
        lifetime = lifetimes.get(rotation.name)
        if lifetime and (problem := actual.problem(lifetime, rotation.renew_at)):
            yield f"rotation {rotation.name}: {problem}"

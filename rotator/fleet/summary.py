"""The summary of a run: every outcome, and what its operator should know besides."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice

from rotator.errors import MORE_TIME, MORE_WRITES, Retry, RotatorError
from rotator.oauth.models import Stage
from rotator.renewal.durations import describe_seconds, seconds_until
from rotator.renewal.guarantee import Guarantee
from rotator.renewal.models import Outcome, Result, Rotation, Summary
from rotator.renewal.ports import Run

MAX_WARNINGS_OF_A_KIND = 10
"""So many are told one by one; of the others only how many there are."""


MAX_NAMED_FAILURES = 10
"""Failures that a run's error names, late ones first: Lambda keeps no long ones, and the log has all."""


class RotationFailed(RotatorError):
    """At least one rotation of the run failed; ``summary`` holds every outcome."""

    def __init__(self, summary: Summary) -> None:
        failed = sorted((r for r in summary.results if r.error), key=lambda result: not result.late)
        told = [f"{result.name}: {result.error}" for result in failed[:MAX_NAMED_FAILURES]]
        if len(failed) > MAX_NAMED_FAILURES:
            told.append(f"and {len(failed) - MAX_NAMED_FAILURES} more")
        urgency = (
            f"{summary.failed_late} late: act now" if summary.failed_late else "none late: there is time"
        )
        super().__init__(
            f"{len(failed)} of {len(summary.results)} rotations failed: " + "\n  ".join(told),
            advice=f"{Retry.NEXT_RUN}; {urgency}",
        )
        self.summary = summary


def summarize(  # noqa: PLR0913 - all that a run knows
    rotations: Sequence[Rotation],
    results: Iterable[Result],
    run: Run,
    guarantee: Guarantee,
    *,
    left: int = 0,
    forced: bool = False,
    dry_run: bool = False,
    other_rotations: int = 0,
) -> Summary:
    """Put the results in order, and add the warnings. ``left`` counts what the run had no time for.

    What was ``forced`` and is left no run comes to by itself.
    """
    ordered = sorted(results, key=lambda result: result.name)
    return Summary(
        results=tuple(ordered),
        warnings=(
            *_left_warnings(left, forced=forced),
            *shortened(_rollover_warnings(ordered)),
            *shortened(_kept_warnings(ordered, run)),
            *shortened(_overlap_warnings(rotations, ordered, run, guarantee)),
        ),
        dry_run=dry_run,
        other_rotations=other_rotations,
    )


def shortened(warnings: Iterable[str]) -> Iterator[str]:
    """A fleet may have the same trouble a thousand times."""
    rest = iter(warnings)
    yield from islice(rest, MAX_WARNINGS_OF_A_KIND)
    more = sum(1 for _ in rest)
    if more:
        yield f"{more} more warnings like the one before"


def _left_warnings(left: int, *, forced: bool) -> Iterator[str]:
    if left and forced:
        yield (
            f"{left} rotations were not forced, for the run's time was over: run it again, with their names; "
            f"for more in a run, {MORE_WRITES}, or {MORE_TIME}"
        )
    elif left:
        yield (
            f"{left} due rotations are left to the next run; if that goes on, {MORE_WRITES}, or {MORE_TIME}"
        )


def _rollover_warnings(results: Sequence[Result]) -> Iterable[str]:
    if all(result.secret_stage is Stage.CURRENT for result in results):
        return ()
    from rotator.renewal import secret_rollover

    return secret_rollover.warnings(results)


def _kept_warnings(results: Sequence[Result], run: Run) -> Iterator[str]:
    """Say which stored tokens run out while the endpoint gives none that lives longer."""
    for result in results:
        if result.outcome is Outcome.KEPT and result.late and result.expires_at:
            left = describe_seconds(seconds_until(result.expires_at, run.now()))
            yield (
                f"rotation {result.name}: the endpoint gives no token that outlives the stored one, "
                f"which has {left} left; ask its operator until when it repeats a token"
            )


def _overlap_warnings(
    rotations: Sequence[Rotation], results: Sequence[Result], run: Run, guarantee: Guarantee
) -> Iterator[str]:
    """Say which consumers may present a dead token: worth a warning, never a reason to stop."""
    lifetimes = {result.name: result.lifetime for result in results}
    actual = replace(guarantee, run_budget=run.budget)
    for rotation in rotations:
        lifetime = lifetimes.get(rotation.name)
        problem = actual.problem(lifetime, rotation.renew_at) if lifetime else None
        if problem:
            yield f"rotation {rotation.name}: {problem}"

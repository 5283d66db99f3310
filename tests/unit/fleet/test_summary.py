"""What a run's summary says besides the outcomes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

import fake_ports
from fake_ports import DAY, rotation
from rotator.fleet.summary import MAX_WARNINGS_OF_A_KIND, RotationFailed, summarize
from rotator.oauth.models import Stage
from rotator.renewal.guarantee import Guarantee
from rotator.renewal.models import Outcome, Result, Rotation, Summary

CONTRACT = Guarantee(schedule_interval=300, consumer_cache=300)


def member(name: str, **settings: Any) -> Rotation:
    return rotation(name=name, parameter_name=f"/fleet/{name}", **settings)


def rotated(name: str, **more: Any) -> Result:
    return Result(name=name, outcome=Outcome.ROTATED, **more)


def told(*results: Result, budget: float = 60, **options: Any) -> Summary:
    rotations = [member(result.name) for result in results]
    return summarize(
        rotations, results, fake_ports.run(fake_ports.Clock(), budget=budget), CONTRACT, **options
    )


def test_results_stand_in_the_order_of_their_names_and_nothing_is_said_of_good_ones() -> None:
    summary = told(rotated("b", lifetime=DAY), rotated("a"))
    assert fake_ports.names(summary.results) == ["a", "b"]
    assert (summary.warnings, summary.other_rotations, summary.dry_run) == ((), 0, False)


def test_a_summary_says_how_many_were_left_out_and_that_it_was_a_dry_run() -> None:
    summary = told(other_rotations=3, dry_run=True)
    assert (summary.other_rotations, summary.dry_run) == (3, True)


def test_what_was_left_to_the_next_run_is_a_warning_with_an_advice() -> None:
    assert told(left=7).warnings == (
        (
            "7 due rotations are left to the next run; if that goes on, raise WritesPerSecond of the stack "
            "(ROTATOR_WRITES_PER_SECOND) if the account's quota allows it, or raise TimeoutSeconds of the "
            "stack"
        ),
    )


def kept(name: str, *, hours: float | None = 3, late: bool = True, outcome: Outcome = Outcome.KEPT) -> Result:
    ends_at = None if hours is None else fake_ports.START + timedelta(hours=hours)
    return Result(name=name, outcome=outcome, expires_at=ends_at, late=late)


def test_a_token_that_runs_out_while_none_outlives_it_is_a_warning() -> None:
    assert told(kept("a")).warnings == (
        (
            "rotation a: the endpoint gives no token that outlives the stored one, "
            "which has 3 h left; ask its operator until when it repeats a token"
        ),
    )


@pytest.mark.parametrize(
    "other", [kept("a", late=False), kept("a", hours=None), kept("a", outcome=Outcome.FAILED)]
)
def test_a_token_that_was_kept_in_time_or_not_at_all_is_none(other: Result) -> None:
    assert told(other).warnings == ()


def test_a_short_overlap_is_a_warning_by_the_budget_of_the_run_at_hand() -> None:
    short, good = rotated("short", lifetime=2100), rotated("good", lifetime=DAY)
    assert told(short, good).warnings == ()
    (warning,) = told(short, good, rotated("unknown"), budget=300).warnings
    assert warning.startswith("rotation short: a token of 35 min")


def test_the_moment_of_renewal_counts_for_the_overlap() -> None:
    run = fake_ports.run(fake_ports.Clock())
    late = member("a", renew_at=0.95)
    assert summarize([late], [rotated("a", lifetime=3 * 3600)], run, CONTRACT).warnings != ()
    assert summarize([member("a")], [rotated("a", lifetime=3 * 3600)], run, CONTRACT).warnings == ()


def test_rotations_without_a_result_have_no_warning() -> None:
    assert summarize([member("a")], [], fake_ports.run(fake_ports.Clock()), CONTRACT).warnings == ()


KINDS = {
    "a kept token": lambda name: kept(name),
    "a short overlap": lambda name: rotated(name, lifetime=600),
    "another stage": lambda name: rotated(name, secret_stage=Stage.PENDING),
}


@pytest.mark.parametrize("kind", KINDS)
def test_of_many_warnings_of_a_kind_ten_are_told_one_by_one_and_the_others_are_counted(kind: str) -> None:
    names = [f"{number:02}" for number in range(MAX_WARNINGS_OF_A_KIND + 3)]
    warnings = told(*map(KINDS[kind], names)).warnings
    assert [warning.split(":")[0] for warning in warnings[:-1]] == [f"rotation {n}" for n in names[:-3]]
    assert warnings[-1] == "3 more warnings like the one before"


def test_ten_warnings_are_ten() -> None:
    warnings = told(*(kept(str(number)) for number in range(MAX_WARNINGS_OF_A_KIND))).warnings
    assert len(warnings) == MAX_WARNINGS_OF_A_KIND
    assert all(warning.startswith("rotation ") for warning in warnings)


def failed(name: str, *, late: bool = False) -> Result:
    return Result(name=name, outcome=Outcome.FAILED, error="a problem; an advice", late=late)


def test_error_of_a_failed_run_names_ten_failures_and_the_late_ones_first() -> None:
    summary = told(
        rotated("z"), *(failed(f"early{number}") for number in range(10)), failed("late", late=True)
    )
    error = RotationFailed(summary)
    assert error.summary is summary
    assert str(error).splitlines() == [
        "11 of 12 rotations failed: late: a problem; an advice",
        *(f"  early{number}: a problem; an advice" for number in range(9)),
        "  and 1 more; the next run tries again; 1 late: act now",
    ]


def test_error_of_a_run_with_ten_early_failures_names_all_of_them() -> None:
    error = RotationFailed(told(*(failed(f"early{number}") for number in range(10))))
    assert str(error).splitlines()[-1] == (
        "  early9: a problem; an advice; the next run tries again; none late: there is time"
    )

"""The warnings in a run's summary."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

import fake_ports
from fake_ports import DAY, rotation
from rotator.config.registry import Fleet
from rotator.fleet.summary import MAX_WARNINGS_OF_A_KIND, summarize
from rotator.oauth.models import Stage
from rotator.renewal.guarantee import Guarantee
from rotator.renewal.models import Outcome, Result, Rotation, Summary
from rotator.renewal.results import RotationFailed

CONTRACT = Guarantee(schedule_interval=300, consumer_cache=300)


def member(name: str, **settings: Any) -> Rotation:
    return rotation(name=name, parameter_name=f"/fleet/{name}", **settings)


def rotated(name: str, **more: Any) -> Result:
    return Result(name=name, outcome=Outcome.ROTATED, **more)


def fleet_of(results: Iterable[Result], other_rotations: int = 0) -> Fleet:
    rotations = tuple(member(result.name) for result in results)
    return Fleet(rotations=rotations, other_rotations=other_rotations)


def reported(*results: Result, budget: float = 60, **options: Any) -> Summary:
    fleet = fleet_of(results, options.pop("other_rotations", 0))
    postponed = options.pop("postponed", 0)
    run = replace(fake_ports.run(fake_ports.Clock(), budget=budget), **options)
    return summarize(fleet, results, run, CONTRACT, postponed=postponed)


def test_successful_results_are_sorted_and_give_no_warnings() -> None:
    summary = reported(rotated("b", lifetime=DAY), rotated("a"))
    assert fake_ports.names(summary.results) == ["a", "b"]
    assert (summary.warnings, summary.other_rotations, summary.dry_run) == ((), 0, False)


def test_summary_has_left_out_count_and_dry_run_flag() -> None:
    summary = reported(other_rotations=3, dry_run=True)
    assert (summary.other_rotations, summary.dry_run) == (3, True)


def test_deferred_rotations_give_a_warning_with_advice() -> None:
    assert reported(postponed=7).warnings == (
        (
            "due rotations postponed to the next run for lack of time: 7; if that lasts, raise "
            "WritesPerSecond of the stack (ROTATOR_WRITES_PER_SECOND) if the account's quota allows it, or "
            "raise TimeoutSeconds of the stack"
        ),
    )


def kept(name: str, *, hours: float | None = 3, late: bool = True, outcome: Outcome = Outcome.KEPT) -> Result:
    ends_at = None if hours is None else fake_ports.START + timedelta(hours=hours)
    return Result(name=name, outcome=outcome, expires_at=ends_at, late=late)


def test_late_kept_token_gives_a_warning() -> None:
    assert reported(kept("a")).warnings == (
        (
            "rotation a: the endpoint keeps returning tokens that expire no later than the stored one, "
            "which expires in 3 h; ask the provider how long it caches tokens"
        ),
    )


@pytest.mark.parametrize(
    "other", [kept("a", late=False), kept("a", hours=None), kept("a", outcome=Outcome.FAILED)]
)
def test_result_other_than_late_kept_token_gives_no_warning(other: Result) -> None:
    assert reported(other).warnings == ()


def test_short_overlap_warning_depends_on_run_budget() -> None:
    short, good = rotated("short", lifetime=2100), rotated("good", lifetime=DAY)
    assert reported(short, good).warnings == ()
    (warning,) = reported(short, good, rotated("unknown"), budget=300).warnings
    assert warning.startswith("rotation short: a token of 35 min")


def test_short_overlap_warning_depends_on_renew_at() -> None:
    run = fake_ports.run(fake_ports.Clock())
    late = member("a", renew_at=0.95)
    assert (
        summarize(Fleet(rotations=(late,)), [rotated("a", lifetime=3 * 3600)], run, CONTRACT).warnings != ()
    )
    assert (
        summarize(Fleet(rotations=(member("a"),)), [rotated("a", lifetime=3 * 3600)], run, CONTRACT).warnings
        == ()
    )


def test_rotations_without_a_result_have_no_warning() -> None:
    assert (
        summarize(Fleet(rotations=(member("a"),)), [], fake_ports.run(fake_ports.Clock()), CONTRACT).warnings
        == ()
    )


@pytest.mark.parametrize("stage", [Stage.PENDING, Stage.PREVIOUS])
def test_warning_names_rotation_stage_and_next_step(stage: Stage) -> None:
    assert reported(rotated("a"), rotated("b", secret_stage=stage)).warnings == (
        f"rotation b: the token endpoint refused the client with AWSCURRENT and accepted {stage}; "
        + {
            Stage.PENDING: "move the label AWSCURRENT to the version labelled AWSPENDING "
            "(aws secretsmanager update-secret-version-stage)",
            Stage.PREVIOUS: "activate the secret labelled AWSCURRENT at the provider, or move the label "
            "AWSCURRENT back to the previous version before the provider revokes that version",
        }[stage],
    )


KINDS = {
    "a kept token": lambda name: kept(name),
    "a short overlap": lambda name: rotated(name, lifetime=600),
    "another stage": lambda name: rotated(name, secret_stage=Stage.PENDING),
}


@pytest.mark.parametrize("kind", KINDS)
def test_ten_warnings_of_a_kind_are_listed_and_the_rest_counted(kind: str) -> None:
    names = [f"{number:02}" for number in range(MAX_WARNINGS_OF_A_KIND + 3)]
    warnings = reported(*map(KINDS[kind], names)).warnings
    assert [warning.split(":")[0] for warning in warnings[:-1]] == [f"rotation {n}" for n in names[:-3]]
    assert warnings[-1] == "3 more warnings of this kind"


def test_exactly_ten_warnings_of_a_kind_are_all_listed() -> None:
    warnings = reported(*(kept(str(number)) for number in range(MAX_WARNINGS_OF_A_KIND))).warnings
    assert len(warnings) == MAX_WARNINGS_OF_A_KIND
    assert all(warning.startswith("rotation ") for warning in warnings)


def failed(name: str, *, late: bool = False) -> Result:
    return Result(name=name, outcome=Outcome.FAILED, error="a problem; an advice", late=late)


def test_run_error_names_ten_failures_and_late_ones_first() -> None:
    summary = reported(
        rotated("z"), *(failed(f"early{number}") for number in range(10)), failed("late", late=True)
    )
    error = RotationFailed(summary)
    assert error.summary is summary
    assert str(error).splitlines() == [
        "11 of 12 rotations failed: late: a problem; an advice",
        *(f"  early{number}: a problem; an advice" for number in range(9)),
        "  and 1 more; the next run tries again; 1 failed late: act now",
    ]


def test_run_error_names_all_of_ten_early_failures() -> None:
    error = RotationFailed(reported(*(failed(f"early{number}") for number in range(10))))
    assert str(error).splitlines()[-1] == (
        "  early9: a problem; an advice; the next run tries again; none failed late"
    )

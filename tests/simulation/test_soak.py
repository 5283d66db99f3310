"""The soak: a few of its worlds, and that it notices faults beyond the budget."""

from __future__ import annotations

from functools import cache

import pytest
from click.testing import CliRunner

from soak import random_scenarios
from soak import run as soak

simulated = cache(soak.simulate_world)


@pytest.mark.parametrize("number", range(1, 6))
def test_world_keeps_every_guarantee_within_failure_budget(number: int) -> None:
    lived = simulated(number)
    assert lived.violations == ()
    assert lived.failed_runs > 0
    assert lived.token_requests > 10


def test_a_world_is_the_same_every_time() -> None:
    assert soak.simulate_world(3) == simulated(3)


def test_failures_beyond_the_budget_are_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    within = random_scenarios.fault_budget
    monkeypatch.setattr(random_scenarios, "fault_budget", lambda drawn: 3 * within(drawn))
    violations = (each for number in range(1, 6) for each in soak.simulate_world(number).violations)
    assert any("presented an expired token" in each for each in violations)


def test_successful_soak_prints_a_summary_and_exits_with_0() -> None:
    done = CliRunner().invoke(soak.main, ["--only", "1"])
    assert done.exit_code == 0
    assert "0 expired seconds, 0 bad tokens published, 0 violations" in " ".join(done.output.split())


def test_soak_names_the_world_with_a_broken_guarantee(monkeypatch: pytest.MonkeyPatch) -> None:
    lived = soak.WorldResult(
        name="world 7",
        years=1,
        runs=1,
        failed_runs=0,
        token_requests=1,
        expired_seconds=5,
        bad_tokens=0,
        violations=("it was bad",),
    )
    monkeypatch.setattr(soak, "_in_processes", lambda _live, numbers: [lived] * len(numbers))
    done = CliRunner().invoke(soak.main, ["--only", "7"])
    assert done.exit_code == 1
    assert "world 7: it was bad" in done.output


def test_worlds_cover_the_requested_years() -> None:
    years = sum(
        random_scenarios.random_scenario(number).end / soak.YEAR for number in soak._enough_worlds(10, 1)
    )
    assert years >= 10

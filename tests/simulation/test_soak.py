"""The soak: a few of its worlds, and that it notices trouble beyond the budget."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from rotator.simulation import random_scenarios as worlds
from rotator.simulation import soak


@pytest.mark.parametrize("number", range(1, 6))
def test_a_world_with_trouble_within_its_budget_keeps_every_promise(number: int) -> None:
    lived = soak.live(number)
    assert lived.wrong == ()
    assert lived.failed_ticks > 0
    assert lived.token_requests > 10


def test_a_world_is_the_same_every_time() -> None:
    assert soak.live(3) == soak.live(3)


def test_trouble_beyond_the_budget_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    within = worlds.budget
    monkeypatch.setattr(worlds, "budget", lambda drawn: 3 * within(drawn))
    assert any(
        "presented an expired token" in wrong for number in range(1, 6) for wrong in soak.live(number).wrong
    )


def test_the_soak_tells_what_it_lived_through_and_exits_with_0_if_all_was_well() -> None:
    done = CliRunner().invoke(soak.main, ["--only", "1"])
    assert done.exit_code == 0
    assert "0 expired seconds, 0 bad tokens published, 0 broken promises" in " ".join(done.output.split())


def test_the_soak_names_the_world_in_which_a_promise_was_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    lived = soak.Lived(
        name="world 7",
        years=1,
        ticks=1,
        failed_ticks=0,
        token_requests=1,
        expired_seconds=5,
        bad_tokens=0,
        wrong=("it was bad",),
    )
    monkeypatch.setattr(soak, "_lives", lambda _live, numbers: [lived] * len(numbers))
    done = CliRunner().invoke(soak.main, ["--only", "7"])
    assert done.exit_code == 1
    assert "world 7: it was bad" in done.output


def test_enough_worlds_make_the_years_asked_for() -> None:
    years = sum(worlds.scenario(number).end / soak.YEAR for number in soak._enough_worlds(10, 1))
    assert years >= 10

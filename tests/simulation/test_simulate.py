"""``rotator simulate``: what it reports, what it refuses, what it draws."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from rotator.cli import main
from rotator.config import validators
from rotator.renewal import renew as job
from rotator.renewal.guarantee import Guarantee
from rotator.simulation import simulate as simulation
from rotator.simulation.scenario import Scenario
from rotator.simulation.simulate import STEPS, simulate
from rotator.simulation.world import World

HOUR = 3600
SIMULATED = simulation._run


@pytest.fixture(scope="module", autouse=True)
def no_trial_is_repeated() -> Iterator[None]:
    """Simulate each trial once: it has no fault but the outage, and many tests have the same trials."""
    trials: dict[str, World] = {}

    def run_once(scenario: Scenario, *progress: Callable[[float], None]) -> World:
        if progress:
            return SIMULATED(scenario, *progress)
        key = repr(asdict(scenario))
        return trials.get(key) or trials.setdefault(key, SIMULATED(scenario))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(simulation, "_run", run_once)
        yield


def run(*args: str, **environment: str) -> Result:
    return CliRunner().invoke(main.main, ["simulate", *args], env={"COLUMNS": "200", **environment})


def report(*args: str, **environment: str) -> dict[str, Any]:
    done = run("--json", *args, **environment)
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


# What it reports.


def test_only_an_outage_beyond_the_limit_costs_expired_seconds() -> None:
    short, long = (
        report("--lifetime", "24h", "--schedule", "5m", "--days", "10", "--outage", o) for o in ("7h", "9h")
    )
    assert (short["expired_seconds"], short["outages"]) == (0, 2)
    assert long["expired_seconds"] > 0
    assert 7 * HOUR < short["longest_outage_seconds"] == long["longest_outage_seconds"] < 9 * HOUR
    assert short["longest_outage_confirmed"]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("lifetime", "schedule", "renew_at", "cache"),
    [
        (86400, 300, 0.667, 300),
        (3600, 60, 0.667, 300),
        (3600, 300, 0.5, 300),
        (7 * 86400, 3600, 0.9, 3600),
        (86400, 7200, 0.4, 0),
        (1800, 60, 0.3, 60),
    ],
)
def test_the_longest_outage_is_survived_and_a_longer_one_is_not(
    lifetime: float, schedule: float, renew_at: float, cache: float, seed: int
) -> None:
    base = Scenario()
    scenario = replace(
        base,
        rotation=replace(base.rotation, renew_at=renew_at),
        lifetime=lifetime,
        guarantee=Guarantee(schedule_interval=schedule, consumer_cache=cache),
        seed=seed,
        days=3 * lifetime / 86400,
        outage=0,
    )
    assert scenario.longest_outage > 0
    assert simulate(scenario).longest_outage_confirmed


def test_longest_outage_is_whole_intervals_less_one_run() -> None:
    seconds = Guarantee().longest_outage(86400, 0.667)
    assert seconds + 60 == 27900 <= 86400 * 0.333 - 300 - 60 - 300 < 27900 + 300


def test_longest_outage_is_zero_when_no_outage_is_survived() -> None:
    assert Guarantee().longest_outage(600, 0.667) == 0


def test_same_seed_repeats_the_result_and_another_differs() -> None:
    bad_days = ("--endpoint-failures", "0.3", "--aws-failures", "0.05", "--crashes", "0.01", "--delay", "60")
    first, again, other = (report("--days", "4", "--seed", seed, *bad_days) for seed in ("1", "1", "2"))
    assert first == again
    assert first["aws_calls"] != other["aws_calls"]


def test_calm_month_report_has_the_expected_numbers() -> None:
    reported = report()
    assert (reported["failed_runs"], reported["expired_seconds"], reported["violations"]) == (0, 0, [])
    assert reported["runs"] == reported["outcomes"]["fresh"] + reported["outcomes"]["rotated"] == 8641
    assert reported["token_requests"] == reported["outcomes"]["rotated"] == 46
    assert reported["aws_calls"] == 8641 + 5 * 46
    assert reported["guaranteed_remaining_seconds"] == 28411 < reported["least_remaining_seconds"]
    assert 7.9 * HOUR < reported["least_remaining_seconds"] < 8.5 * HOUR


def test_late_failures_are_counted_separately() -> None:
    outcomes = report("--outage", "7h", "--days", "5")["outcomes"]
    assert 0 < outcomes["failed_late"] < outcomes["failed"]


def test_revoking_provider_is_reported_in_revoked_seconds() -> None:
    assert report("--provider", "revokes-older", "--days", "5")["revoked_seconds"] > 0
    assert report("--provider", "steady", "--days", "5")["revoked_seconds"] == 0


@pytest.mark.parametrize("trouble", ["--missed", "--endpoint-failures", "--aws-failures", "--crashes"])
def test_simulation_without_a_token_reports_no_lifetime(trouble: str) -> None:
    reported = report("--days", "1", trouble, "1")
    assert reported["least_remaining_seconds"] is None
    assert reported["outcomes"].get("rotated") is None
    assert "No token was ever published." in run("--days", "1", trouble, "1").stdout


def test_revoked_token_is_in_the_headline() -> None:
    shown = run("--provider", "revokes-older", "--days", "5", "--aws-failures", "0.3").stdout
    assert "the parameter contained a revoked one for" in shown


def test_broken_guarantee_is_reported_and_fails_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "_publish", lambda *_: {"a": 1}["defect"])
    monkeypatch.setattr(simulation, "_run", SIMULATED)  # no other test gets the trials of this defect
    done = run("--lifetime", "1h", "--days", "0.2")
    assert done.exit_code == 1
    assert "violation: the job has a defect" in done.stdout


def test_repeated_outages_cause_no_expired_seconds() -> None:
    reported = report("--outage", "7h", "--every", "8h", "--days", "12")
    assert reported["expired_seconds"] == 0
    assert reported["outages"] > 10


def test_failure_settings_are_listed_in_the_report() -> None:
    shown = run("--days", "3", "--missed", "0.1", "--provider", "varies", "--clock-skew", "5").stdout
    assert "consumers that cache for 5 min; missed 0.1, clock skew 5 s, provider varies." in shown
    assert "with a steady provider and no other faults" in shown


@pytest.mark.parametrize("lifetime", [86400, 3600])
@pytest.mark.parametrize("schedule", ["5m", "10m", "333"])
@pytest.mark.parametrize("outage", [0.1, 0.5, 1.0])
def test_remaining_lifetime_is_at_least_the_guarantee(lifetime: int, schedule: str, outage: float) -> None:
    limit = Guarantee(schedule_interval=validators.seconds(1, 9999)(schedule)).longest_outage(lifetime, 0.5)
    reported = report(
        *("--lifetime", str(lifetime), "--schedule", schedule, "--renew-at", "0.5", "--every", str(lifetime)),
        *("--outage", str(int(outage * limit)), "--days", str(5 * lifetime / 86400)),
    )
    assert reported["outages"] >= 1
    assert reported["least_remaining_seconds"] >= reported["guaranteed_remaining_seconds"]


def test_table_shows_the_reported_numbers() -> None:
    shown = run("--outage", "9h", "--days", "4").stdout
    for part in (
        "least remaining lifetime",
        "-1 h",
        "7 h 44 min (computed, and confirmed by simulating it)",
        "late",
    ):
        assert part in shown
    assert "would have presented an expired token for" in shown
    assert "No consumer would have presented an expired token." in run("--days", "3").stdout


def test_options_override_settings_from_the_environment() -> None:
    changed = {"ROTATOR_RENEW_AT": "0.5", "ROTATOR_SCHEDULE_INTERVAL": "10m", "ROTATOR_CONSUMER_CACHE": "0"}
    reported = report("--days", "3", "--schedule", "30m", **changed)["settings"]
    assert (reported["renew_at"], reported["schedule"], reported["cache"]) == (0.5, 1800, 0)


# What it refuses, in one line and with the nearest setting that works.


@pytest.mark.parametrize(
    ("args", "problem", "advice"),
    [
        pytest.param(
            ["--schedule", "10h"],
            "leaves 7 h 59 min for the renewal, but a run starts only every 10 h",
            (
                "set --renew-at to 0.57 or less, or run every 473m or more often and set --schedule to this "
                "interval"
            ),
            id="schedule slower than the window",
        ),
        pytest.param(
            ["--lifetime", "4m"],
            "a token of 4 min expires before the next run",
            "request tokens with a lifetime of 34m or more",
            id="lifetime shorter than the schedule",
        ),
        pytest.param(
            ["--lifetime", "2h", "--schedule", "3h"],
            "a token of 2 h expires before the next run",
            "run every 33m or more often and set --schedule to this interval",
            id="lifetime shorter than a schedule that can be faster",
        ),
        pytest.param(
            ["--lifetime", "30m"],
            "guarantees consumers a remaining lifetime of 239 s, but they cache it for 300 s",
            "let consumers cache for at most 239 s (--cache)",
            id="consumers cache for too long",
        ),
        pytest.param(
            ["--outage", "40d"],
            "30 days are not enough for one token of 1 d and an outage of 40 d",
            "set --days to 41 or more",
            id="outage longer than the simulation",
        ),
        pytest.param(
            ["--outage", "6h", "--every", "5h"],
            "an outage of 6 h every 5 h never ends",
            "set --every to more than 6 h",
            id="outages without a pause",
        ),
        pytest.param(["--renew-at", "2"], "'2' is not a fraction from 0.1 to 0.95", "", id="no fraction"),
        pytest.param(["--lifetime", "soon"], "'soon' is not a whole number of seconds", "", id="no duration"),
        pytest.param(["--days", "0"], "'0' is not a number from 0.01 to 36500", "", id="no days"),
        pytest.param(
            ["--days", "nan"], "'nan' is not a number from 0.01 to 36500", "", id="no number of days"
        ),
        pytest.param(["--days", "inf"], "'inf' is not a number from 0.01 to 36500", "", id="days for ever"),
        pytest.param(["--crashes", "nan"], "'nan' is not a share from 0 to 1", "", id="no share"),
        pytest.param(
            ["--clock-skew", "inf"], "'inf' is not a number of seconds from -86400", "", id="no skew"
        ),
        pytest.param(["--schedule", "5"], "'5' is not a whole number of seconds from 60", "", id="too often"),
        pytest.param(
            ["--days", "30000", "--plot", "x.gif"],
            "--plot does not support the format of x.gif",
            ".svg or .png",
            id="no picture",
        ),
        pytest.param(
            ["--days", "2", "--plot", "nowhere/x.svg"],
            "the folder nowhere of the picture does not exist",
            "create it, or choose another",
            id="no such folder",
        ),
    ],
)
def test_impossible_scenario_is_explained_in_one_line(args: list[str], problem: str, advice: str) -> None:
    done = run(*args)
    assert done.exit_code == 2
    said = done.stderr.strip().splitlines()[-1]
    assert problem in said
    assert advice in said
    assert "Traceback" not in done.output


@pytest.mark.parametrize(
    ("lifetime", "schedule", "advised"),
    [(86400, "10h", ["--renew-at", "0.57"]), (86400, "473m", []), (7200, "33m", []), (2040, "5m", [])],
)
def test_the_advised_setting_works(lifetime: int, schedule: str, advised: list[str]) -> None:
    done = run("--lifetime", str(lifetime), "--schedule", schedule, "--days", "3", *advised)
    assert done.exit_code == 0


def test_plot_without_matplotlib_names_the_package_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    done = run("--days", "2", "--plot", "x.svg")
    assert done.exit_code == 2
    assert done.stderr == (
        "rotator: --plot needs matplotlib, which is not installed; "
        "run: pip install 'oauth-token-rotator[plot]'\n"
    )


# What it draws.


@pytest.mark.parametrize(("name", "begins"), [("a.svg", b"<?xml"), ("a.png", b"\x89PNG")], ids=["SVG", "PNG"])
def test_a_picture_is_drawn(name: str, begins: bytes, tmp_path: Path) -> None:
    picture = tmp_path / name
    assert run("--outage", "6h", "--days", "4", "--plot", str(picture)).exit_code == 0
    assert picture.read_bytes().startswith(begins)


def test_the_same_seed_draws_the_same_picture(tmp_path: Path) -> None:
    pictures = [tmp_path / name for name in ("a.svg", "b.svg")]
    for picture in pictures:
        run("--outage", "9h", "--days", "3", "--plot", str(picture))
    assert pictures[0].read_bytes() == pictures[1].read_bytes()


def test_progress_callback_gets_increasing_fractions() -> None:
    reported: list[float] = []
    simulate(Scenario(days=2), reported.append)
    assert (len(reported), reported[-1], reported) == (STEPS, 1.0, sorted(reported))

"""The guaranteed lifetime, the longest outage, and the settings that fix an impossible guarantee."""

from __future__ import annotations

import pytest

from fake_ports import DAY
from rotator.renewal.guarantee import Guarantee

HOUR = 3600


def test_guaranteed_lifetime_is_window_less_interval_and_run() -> None:
    assert Guarantee().guaranteed_lifetime(DAY, 0.5) == DAY / 2 - 300 - 60


@pytest.mark.parametrize(
    ("lifetime", "renew_at", "interval", "cache", "holds"),
    [
        pytest.param(DAY, 0.667, 300, 300, True, id="the defaults"),
        pytest.param(3600, 0.667, 300, 300, True, id="tokens of an hour"),
        pytest.param(1800, 0.667, 300, 300, False, id="tokens of half an hour"),
        pytest.param(3600, 0.95, 300, 300, False, id="renewed too late"),
        pytest.param(660 * 2, 0.5, 300, 300, True, id="exactly enough"),
        pytest.param(660 * 2 - 2, 0.5, 300, 300, False, id="a second too little"),
    ],
)
def test_problem_is_none_only_if_the_guarantee_holds(
    lifetime: float, renew_at: float, interval: float, cache: float, holds: bool
) -> None:
    problem = Guarantee(schedule_interval=interval, consumer_cache=cache).problem(lifetime, renew_at)
    assert (problem is None) is holds


def test_problem_advises_a_renew_at_that_works() -> None:
    problem = Guarantee().problem(3600, 0.95)
    advised = float(str(problem).rpartition("ROTATOR_RENEW_AT to ")[2].split()[0])
    assert Guarantee().problem(3600, advised) is None


def test_problem_advises_longer_tokens_if_no_renew_at_works() -> None:
    assert "request tokens with a lifetime of" in str(Guarantee().problem(300, 0.667))


@pytest.mark.parametrize(
    ("lifetime", "renew_at", "interval", "cache", "problem"),
    [
        pytest.param(
            DAY,
            0.95,
            HOUR,
            HOUR,
            "a token of 1 d renewed at 0.95 of its lifetime, with a run every 1 h, "
            "guarantees consumers a remaining lifetime of 660 s, but they cache it for 3600 s; "
            "set ROTATOR_RENEW_AT to 0.91 or less, "
            "or run every 11m or more often and set ROTATOR_SCHEDULE_INTERVAL to this interval, "
            "or let consumers cache for at most 660 s (ROTATOR_CONSUMER_CACHE)",
            id="each of three settings fixes it",
        ),
        pytest.param(
            1844.3,
            0.5,
            300,
            700,
            "a token of 30 min 40 s renewed at 0.5 of its lifetime, with a run every 5 min, "
            "guarantees consumers a remaining lifetime of 562 s, but they cache it for 700 s; "
            "set ROTATOR_RENEW_AT to 0.42 or less, "
            "or run every 2m or more often and set ROTATOR_SCHEDULE_INTERVAL to this interval, "
            "or let consumers cache for at most 562 s (ROTATOR_CONSUMER_CACHE)",
            id="a measured lifetime is rounded",
        ),
        pytest.param(
            840,
            0.5,
            300,
            300,
            "a token of 14 min renewed at 0.5 of its lifetime, with a run every 5 min, "
            "guarantees consumers a remaining lifetime of 60 s, but they cache it for 300 s; "
            "set ROTATOR_RENEW_AT to 0.21 or less, "
            "or run every 1m or more often and set ROTATOR_SCHEDULE_INTERVAL to this interval, "
            "or let consumers cache for at most 60 s (ROTATOR_CONSUMER_CACHE)",
            id="the fastest schedule there is is just enough",
        ),
        pytest.param(
            720,
            0.5,
            300,
            300,
            "a token of 12 min renewed at 0.5 of its lifetime, with a run every 5 min, "
            "guarantees consumers a remaining lifetime of 0 s, but they cache it for 300 s; "
            "let consumers cache for at most 0 s (ROTATOR_CONSUMER_CACHE)",
            id="consumers must not cache at all",
        ),
        pytest.param(
            1200,
            0.75,
            300,
            310,
            "a token of 20 min renewed at 0.75 of its lifetime leaves "
            "5 min for the renewal, but a run starts only every 5 min: "
            "consumers have no guaranteed remaining lifetime; set ROTATOR_RENEW_AT to 0.44 or less",
            id="the window may fall between two runs",
        ),
        pytest.param(
            300,
            0.5,
            300,
            9000,
            "a token of 5 min expires before the next run, which starts every 5 min: "
            "consumers have no guaranteed remaining lifetime; "
            "request tokens with a lifetime of 312m or more",
            id="no setting fixes it",
        ),
    ],
)
def test_problem_names_the_cause_and_every_remedy(
    lifetime: float, renew_at: float, interval: float, cache: float, problem: str
) -> None:
    reported = Guarantee(schedule_interval=interval, consumer_cache=cache).problem(lifetime, renew_at)
    assert str(reported) == problem


def test_longer_run_budget_shortens_guaranteed_lifetime() -> None:
    reported = Guarantee(consumer_cache=400, run_budget=120).problem(1440, 0.5)
    assert str(reported) == (
        "a token of 24 min renewed at 0.5 of its lifetime, with a run every 5 min, "
        "guarantees consumers a remaining lifetime of 300 s, but they cache it for 400 s; "
        "set ROTATOR_RENEW_AT to 0.43 or less, "
        "or run every 3m or more often and set ROTATOR_SCHEDULE_INTERVAL to this interval, "
        "or let consumers cache for at most 300 s (ROTATOR_CONSUMER_CACHE)"
    )


def test_advice_uses_the_given_setting_names() -> None:
    names = {"renew_at": "--renew-at", "schedule_interval": "--every", "consumer_cache": "--cache"}
    reported = Guarantee(schedule_interval=HOUR, consumer_cache=HOUR).problem(DAY, 0.95, names)
    assert str(reported).endswith(
        "; set --renew-at to 0.91 or less, or run every 11m or more often and set --every to this interval, "
        "or let consumers cache for at most 660 s (--cache)"
    )


@pytest.mark.parametrize(
    ("lifetime", "budget", "seconds"),
    [
        pytest.param(DAY, 60, 141 * 300 - 60, id="whole intervals, less a run"),
        pytest.param(DAY, 900, 139 * 300 - 900, id="a long run counts twice"),
        pytest.param(1320, 60, 0, id="the contract just holds"),
        pytest.param(300, 60, 0, id="the contract does not hold"),
    ],
)
def test_longest_outage_is_whole_intervals_less_a_run(lifetime: float, budget: float, seconds: float) -> None:
    assert Guarantee(run_budget=budget).longest_outage(lifetime, 0.5) == seconds


@pytest.mark.parametrize(
    ("outage", "missed"),
    [
        pytest.param(0, 0, id="no outage"),
        pytest.param(1, 1, id="a second costs a whole interval"),
        pytest.param(240, 1, id="an interval less a run"),
        pytest.param(241, 2, id="a second more may hit two runs"),
        pytest.param(540, 2, id="two intervals less a run"),
    ],
)
def test_outage_reduces_guarantee_by_whole_intervals(outage: float, missed: int) -> None:
    guarantee = Guarantee()
    assert (
        guarantee.guaranteed_lifetime(DAY, 0.5, outage=outage)
        == guarantee.guaranteed_lifetime(DAY, 0.5) - missed * 300
    )


@pytest.mark.parametrize("lifetime", [DAY, 3600, 5000])
@pytest.mark.parametrize("interval", [60, 300, 77])
def test_longest_outage_just_covers_the_consumer_cache(lifetime: float, interval: float) -> None:
    guarantee = Guarantee(schedule_interval=interval)
    longest = guarantee.longest_outage(lifetime, 0.5)
    assert guarantee.guaranteed_lifetime(lifetime, 0.5, outage=longest) >= guarantee.consumer_cache
    assert guarantee.guaranteed_lifetime(lifetime, 0.5, outage=longest + 1) < guarantee.consumer_cache

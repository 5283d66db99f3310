"""What an operator reads where the overlap contract cannot hold, and the longest outage where it does."""

from __future__ import annotations

import pytest

from fakes import DAY, rotation
from rotator import policy

HOUR = 3600


@pytest.mark.parametrize(
    ("lifetime", "renew_at", "interval", "cache", "problem"),
    [
        pytest.param(
            DAY,
            0.95,
            HOUR,
            HOUR,
            "a token of 1 d renewed at 0.95 of its life, every 1 h, leaves consumers 660 s at the least, "
            "but they cache for 3600 s; set ROTATOR_RENEW_AT to 0.91 or less, "
            "or run every 11m or more often, with ROTATOR_SCHEDULE_INTERVAL set to it, "
            "or let consumers cache for 660 s at the most (ROTATOR_CONSUMER_CACHE)",
            id="each of three settings mends it",
        ),
        pytest.param(
            1844.3,
            0.5,
            300,
            700,
            "a token of 30 min 40 s renewed at 0.5 of its life, every 5 min, "
            "leaves consumers 562 s at the least, but they cache for 700 s; "
            "set ROTATOR_RENEW_AT to 0.42 or less, "
            "or run every 2m or more often, with ROTATOR_SCHEDULE_INTERVAL set to it, "
            "or let consumers cache for 562 s at the most (ROTATOR_CONSUMER_CACHE)",
            id="a measured lifetime is rounded",
        ),
        pytest.param(
            840,
            0.5,
            300,
            300,
            "a token of 14 min renewed at 0.5 of its life, every 5 min, leaves consumers 60 s at the least, "
            "but they cache for 300 s; set ROTATOR_RENEW_AT to 0.21 or less, "
            "or run every 1m or more often, with ROTATOR_SCHEDULE_INTERVAL set to it, "
            "or let consumers cache for 60 s at the most (ROTATOR_CONSUMER_CACHE)",
            id="the fastest schedule there is is just enough",
        ),
        pytest.param(
            720,
            0.5,
            300,
            300,
            "a token of 12 min renewed at 0.5 of its life, every 5 min, leaves consumers 0 s at the least, "
            "but they cache for 300 s; let consumers cache for 0 s at the most (ROTATOR_CONSUMER_CACHE)",
            id="consumers must not cache at all",
        ),
        pytest.param(
            1200,
            0.75,
            300,
            310,
            "a token of 20 min renewed at 0.75 of its life leaves 5 min to do so, "
            "and runs come every 5 min only; set ROTATOR_RENEW_AT to 0.44 or less",
            id="the window may fall between two runs",
        ),
        pytest.param(
            300,
            0.5,
            300,
            9000,
            "a token of 5 min ends before the next run, which comes every 5 min; "
            "ask for tokens of 312m or longer",
            id="no setting mends it",
        ),
    ],
)
def test_a_broken_overlap_says_why_and_every_way_to_mend_it(
    lifetime: float, renew_at: float, interval: float, cache: float, problem: str
) -> None:
    of = rotation(renew_at=renew_at)
    told = policy.overlap_problem(of, lifetime, schedule_interval=interval, consumer_cache=cache)
    assert told == problem


def test_a_longer_run_leaves_consumers_less() -> None:
    told = policy.overlap_problem(
        rotation(renew_at=0.5), 1440, schedule_interval=300, consumer_cache=400, run_budget=120
    )
    assert told == (
        "a token of 24 min renewed at 0.5 of its life, every 5 min, leaves consumers 300 s at the least, "
        "but they cache for 400 s; set ROTATOR_RENEW_AT to 0.43 or less, "
        "or run every 3m or more often, with ROTATOR_SCHEDULE_INTERVAL set to it, "
        "or let consumers cache for 300 s at the most (ROTATOR_CONSUMER_CACHE)"
    )


def test_the_advice_calls_the_settings_what_its_reader_calls_them() -> None:
    names = {"renew_at": "--renew-at", "schedule_interval": "--every", "consumer_cache": "--cache"}
    told = policy.overlap_problem(
        rotation(renew_at=0.95), DAY, schedule_interval=HOUR, consumer_cache=HOUR, names=names
    )
    assert told is not None
    assert told.endswith(
        "; set --renew-at to 0.91 or less, or run every 11m or more often, with --every set to it, "
        "or let consumers cache for 660 s at the most (--cache)"
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
def test_an_outage_goes_unnoticed_for_whole_intervals_less_a_run(
    lifetime: float, budget: float, seconds: float
) -> None:
    longest = policy.longest_outage(
        lifetime, 0.5, schedule_interval=300, consumer_cache=300, run_budget=budget
    )
    assert longest == seconds

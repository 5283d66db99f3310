"""Random scenarios, each drawn from its number: settings, a provider, and faults within the budget."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import replace
from random import Random

from rotator.renewal.guarantee import Guarantee
from rotator.renewal.policy import RUN_BUDGET_SECONDS
from rotator.simulation.scenario import (
    DAY,
    NO_FAULTS,
    REPEATED_UNTIL,
    SHORTEST_OF_VARYING,
    Behaviour,
    Rates,
    RatesAt,
    Scenario,
)

RUNS = 4000
"""How many scheduled runs a scenario has."""

LEASE_SECONDS = RUN_BUDGET_SECONDS + 2
"""How long the lease of a run that was killed keeps other runs away."""

Window = tuple[float, float]
"""When faults begin and end, in seconds since the beginning."""


def random_scenario(number: int) -> Scenario:
    """Draw settings that keep the guarantee, with a budget for faults."""
    random = Random(number)
    while True:
        drawn = Scenario(
            lifetime=float(round(10 ** random.uniform(3.3, 6.3))),  # half an hour to three weeks
            guarantee=Guarantee(
                schedule_interval=float(round(10 ** random.uniform(1.78, 4.2) / 60) * 60),  # 1 min to 4 h
                consumer_cache=random.choice((0.0, 60.0, 300.0, 3600.0)),
            ),
            seed=number,
            behaviour=random.choice(tuple(Behaviour)),
            clock_skew=random.choice((0.0, 0.0, 30.0, -30.0, 300.0, -300.0)),
        )
        drawn = replace(
            drawn,
            rotation=replace(
                drawn.rotation,
                parameter_name=f"/simulated/token-{number}",
                renew_at=round(random.uniform(0.3, 0.8), 3),
                verify_url=random.choice((None, "https://api.example.test/")),
            ),
            days=RUNS * drawn.guarantee.schedule_interval / DAY,
        )
        if fault_budget(drawn) >= drawn.guarantee.schedule_interval and drawn.end > 4 * drawn.lifetime:
            return drawn


def guaranteed_outage(scenario: Scenario) -> float:
    """Return the longest outage in seconds that consumers must not notice, with this provider.

    A clock that is wrong or a provider that repeats or shortens its tokens leaves less time.
    """
    lifetime, renew_at = scenario.lifetime, scenario.rotation.renew_at
    if scenario.behaviour is Behaviour.VARIES:
        lifetime *= SHORTEST_OF_VARYING
    if scenario.behaviour is Behaviour.REPEATS:
        renew_at = max(renew_at, 1 - REPEATED_UNTIL)
    return scenario.guarantee.longest_outage(lifetime, renew_at) - abs(scenario.clock_skew)


def recovery_seconds(scenario: Scenario) -> float:
    """Return how long recovery takes: a lease left behind has expired, and a run has come and gone."""
    return LEASE_SECONDS + scenario.guarantee.schedule_interval + RUN_BUDGET_SECONDS


def fault_budget(scenario: Scenario) -> float:
    """Return how many seconds faults of any kind may last.

    That is less than an outage: a run that was killed may keep others away for a while afterwards.
    """
    return guaranteed_outage(scenario) - 2 * scenario.guarantee.schedule_interval - LEASE_SECONDS


def random_faults(scenario: Scenario) -> tuple[RatesAt, list[Window]]:
    """Draw the faults of a scenario; return their rates at any time, and the windows in which they occur."""
    random = Random(-scenario.seed)
    interval = scenario.guarantee.schedule_interval
    windows, rates = [], []
    pause = 3 * interval + LEASE_SECONDS
    for window in fault_windows(random, scenario, longest=fault_budget(scenario), pause=pause):
        windows.append(window)
        rates.append(_random_rates(random, interval))
    return rates_in_windows(windows, rates), windows


def fault_windows(random: Random, scenario: Scenario, *, longest: float, pause: float) -> Iterator[Window]:
    """Draw when faults begin and end: for ``longest`` seconds at most, with a pause before each window."""
    end = pause
    while end < scenario.end:
        begin = end + pause + random.expovariate(2 / scenario.lifetime)
        end = begin + random.uniform(0, longest)
        yield begin, end


def rates_in_windows(windows: Sequence[Window], rates: Sequence[Rates]) -> RatesAt:
    """Return the rates at any time: those of its window, and no faults between two windows."""
    begins = [begin for begin, _ in windows]

    def rates_at(now: float) -> Rates:
        place = bisect_right(begins, now) - 1
        return rates[place] if place >= 0 and now < windows[place][1] else NO_FAULTS

    return rates_at


def _random_rates(random: Random, interval: float) -> Rates:
    return Rates(
        endpoint=random.choice((0.0, 0.3, 0.9, 1.0)),
        aws=random.choice((0.0, 0.0, 0.1, 0.5, 1.0)),
        crashes=random.choice((0.0, 0.0, 0.05, 0.5)),
        missed=random.choice((0.0, 0.0, 0.3, 1.0)),
        duplicated=random.choice((0.0, 0.5)),
        delay=random.choice((0.0, 30.0, interval)),
    )

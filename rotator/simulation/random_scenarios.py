"""Random worlds, each drawn from its number: settings, a provider, and trouble within the promised budget."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import replace
from random import Random

from rotator.renewal.guarantee import Contract
from rotator.renewal.policy import RUN_BUDGET
from rotator.simulation.scenario import (
    DAY,
    REPEATED_UNTIL,
    SHORTEST_OF_VARYING,
    Behaviour,
    Rates,
    Scenario,
    Weather,
)

TICKS = 4000
"""How many ticks a world has."""

CALM = Rates()

LEASE = RUN_BUDGET + 2
"""Seconds for which the lease of a run that died keeps others away."""


def scenario(number: int) -> Scenario:
    """Draw the settings of a world that keep the contract with room for trouble."""
    dice = Random(number)  # noqa: S311 - the same world for the same number
    while True:
        drawn = Scenario(
            lifetime=float(round(10 ** dice.uniform(3.3, 6.3))),  # half an hour to three weeks
            contract=Contract(
                schedule_interval=float(round(10 ** dice.uniform(1.78, 4.2) / 60) * 60),  # a minute to hours
                consumer_cache=dice.choice((0.0, 60.0, 300.0, 3600.0)),
            ),
            seed=number,
            behaviour=dice.choice(tuple(Behaviour)),
            clock_skew=dice.choice((0.0, 0.0, 30.0, -30.0, 300.0, -300.0)),
        )
        drawn = replace(
            drawn,
            rotation=replace(
                drawn.rotation,
                parameter_name=f"/simulated/token-{number}",
                renew_at=round(dice.uniform(0.3, 0.8), 3),
                verify_url=dice.choice((None, "https://api.example.test/")),
            ),
            days=TICKS * drawn.contract.schedule_interval / DAY,
        )
        if budget(drawn) >= drawn.contract.schedule_interval and drawn.days * DAY > 4 * drawn.lifetime:
            return drawn


def promised_outage(drawn: Scenario) -> float:
    """The longest outage in seconds that consumers must not notice, with this provider.

    A clock that is wrong or a provider that repeats or shortens its tokens leaves less time.
    """
    lifetime, renew_at = drawn.lifetime, drawn.rotation.renew_at
    if drawn.behaviour is Behaviour.VARIES:
        lifetime *= SHORTEST_OF_VARYING
    if drawn.behaviour is Behaviour.REPEATS:
        renew_at = max(renew_at, 1 - REPEATED_UNTIL)
    return drawn.contract.longest_outage(lifetime, renew_at) - abs(drawn.clock_skew)


def healing(drawn: Scenario) -> float:
    """Seconds after which all is well again: a lease left behind has expired, and a run has come and gone."""
    return LEASE + drawn.contract.schedule_interval + RUN_BUDGET


def budget(drawn: Scenario) -> float:
    """The longest trouble of any kind: a run that died in it may keep others away for a while afterwards."""
    return promised_outage(drawn) - 2 * drawn.contract.schedule_interval - LEASE


def trouble(drawn: Scenario) -> tuple[Weather, list[tuple[float, float]]]:
    """Draw the windows of trouble; return them as weather, and when each of them begins and ends."""
    dice = Random(-drawn.seed)  # noqa: S311 - likewise
    interval = drawn.contract.schedule_interval
    windows, rates = [], []
    for window in trouble_windows(dice, drawn, longest=budget(drawn), pause=3 * interval + LEASE):
        windows.append(window)
        rates.append(_rates(dice, interval))
    begins = [begin for begin, _ in windows]

    def weather(now: float) -> Rates:
        index = bisect_right(begins, now) - 1
        return rates[index] if index >= 0 and now < windows[index][1] else CALM

    return weather, windows


def trouble_windows(
    dice: Random, drawn: Scenario, *, longest: float, pause: float
) -> Iterator[tuple[float, float]]:
    """Draw when trouble begins and ends, for so many seconds at most, and with a pause before each."""
    when = pause
    while when < drawn.end:
        begin = when + pause + dice.expovariate(2 / drawn.lifetime)
        when = begin + dice.uniform(0, longest)
        yield begin, when


def _rates(dice: Random, interval: float) -> Rates:
    return Rates(
        endpoint=dice.choice((0.0, 0.3, 0.9, 1.0)),
        aws=dice.choice((0.0, 0.0, 0.1, 0.5, 1.0)),
        crashes=dice.choice((0.0, 0.0, 0.05, 0.5)),
        missed=dice.choice((0.0, 0.0, 0.3, 1.0)),
        duplicated=dice.choice((0.0, 0.5)),
        delay=dice.choice((0.0, 30.0, interval)),
    )

"""Years of trouble within the promised budget: ``python -m rotator.simulation.soak``, or ``make soak``.

Each world draws its settings, its provider and its trouble from its number, so that what fails can
be run again. In its windows of trouble anything may fail, as often as it likes; between them all is
well for long enough to renew. No window is longer than the outage that the settings promise to survive.
"""

from __future__ import annotations

import os
import sys
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from random import Random

import click
from rich.console import Console
from rich.progress import Progress, TimeElapsedColumn, TimeRemainingColumn

from rotator.contract import Contract
from rotator.policy import RUN_BUDGET
from rotator.simulation.scenario import (
    DAY,
    REPEATED_UNTIL,
    SHORTEST_OF_VARYING,
    Behaviour,
    Rates,
    Scenario,
    Weather,
)
from rotator.simulation.world import World, unheard

YEAR = 365.25 * DAY
TICKS = 4000
"""How many ticks a world has."""

CALM = Rates()
CLAIM = RUN_BUDGET + 2
"""Seconds for which the claim of a run that died keeps others away."""


@dataclass(frozen=True, kw_only=True)
class Lived:
    """What became of one world; ``wrong`` is what must never happen."""

    number: int
    years: float
    ticks: int
    failed_ticks: int
    token_requests: int
    expired_seconds: float
    bad_tokens: int
    wrong: tuple[str, ...]


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
    """Seconds after which all is well again: a claim left behind has ended, and a run has come and gone."""
    return CLAIM + drawn.contract.schedule_interval + RUN_BUDGET


def budget(drawn: Scenario) -> float:
    """The longest trouble of any kind: a run that died in it may keep others away for a while afterwards."""
    return promised_outage(drawn) - 2 * drawn.contract.schedule_interval - CLAIM


def trouble(drawn: Scenario) -> tuple[Weather, list[tuple[float, float]]]:
    """Draw the windows of trouble; return them as weather, and when each of them begins and ends."""
    dice = Random(-drawn.seed)  # noqa: S311 - likewise
    interval, longest = drawn.contract.schedule_interval, budget(drawn)
    pause = 3 * interval + CLAIM
    begins, ends, rates = [], [], []
    when = pause
    while when < drawn.end:
        when += pause + dice.expovariate(2 / drawn.lifetime)
        begins.append(when)
        when += dice.uniform(0, longest)
        ends.append(when)
        rates.append(_rates(dice, interval))

    def weather(now: float) -> Rates:
        index = bisect_right(begins, now) - 1
        return rates[index] if index >= 0 and now < ends[index] else CALM

    return weather, list(zip(begins, ends, strict=True))


def _rates(dice: Random, interval: float) -> Rates:
    return Rates(
        endpoint=dice.choice((0.0, 0.3, 0.9, 1.0)),
        aws=dice.choice((0.0, 0.0, 0.1, 0.5, 1.0)),
        crashes=dice.choice((0.0, 0.0, 0.05, 0.5)),
        missed=dice.choice((0.0, 0.0, 0.3, 1.0)),
        duplicated=dice.choice((0.0, 0.5)),
        delay=dice.choice((0.0, 30.0, interval)),
    )


def live(number: int) -> Lived:
    """Let a world live and say what became of it."""
    drawn = scenario(number)
    weather, windows = trouble(drawn)
    world = World(drawn, weather=weather)
    world.start_schedule()
    dice = Random(number)  # noqa: S311 - likewise
    for begin, end in windows:
        world.timeline.at(end + healing(drawn), world.expect_good)
        if dice.random() < 0.5:  # an operator who has heard of it
            world.start_run(dice.uniform(begin, end), force=True)
    for _ in range(10):  # and one who has not
        world.start_run(dice.uniform(0, drawn.end), force=True)
    with unheard():
        world.timeline.run_until(drawn.end)
    world.close()
    return Lived(
        number=number,
        years=drawn.end / YEAR,
        ticks=world.ticks,
        failed_ticks=world.failed_ticks,
        token_requests=world.provider.requests,
        expired_seconds=world.consumers.expired_seconds,
        bad_tokens=world.bad_tokens,
        wrong=tuple(_wrong(world)),
    )


def _wrong(world: World) -> Iterator[str]:
    yield from world.broken_promises
    if world.consumers.expired_seconds:
        yield f"consumers presented an expired token for {world.consumers.expired_seconds:.0f} s"
    if world.is_flooding():
        yield f"the endpoint was flooded with {world.provider.requests} requests"


def _lives(numbers: Sequence[int]) -> Iterator[Lived]:
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        yield from pool.map(live, numbers, chunksize=4)


@click.command()
@click.option("--years", default=500.0, show_default=True, help="How many token-years to live at the least.")
@click.option("--first", default=1, show_default=True, help="The number of the first world.")
@click.option("--only", type=int, help="Live this world alone, to see what went wrong in it.")
def main(years: float, first: int, only: int | None) -> None:
    """Live through years of random trouble within the promised budget; exit with 1 if anything is wrong."""
    numbers = [only] if only is not None else _enough_worlds(years, first)
    console = Console()
    lives = []
    columns = (*Progress.get_default_columns()[:3], TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(f"{len(numbers)} worlds", total=len(numbers))
        for lived in _lives(numbers):
            lives.append(lived)
            progress.advance(task)
            if len(lives) * 10 // len(numbers) > (len(lives) - 1) * 10 // len(numbers):
                console.print(_told(lives), highlight=False)  # also where nobody sees the bar
            for wrong in lived.wrong:
                console.print(f"world {lived.number}: {wrong}", style="red", highlight=False)
    sys.exit(any(lived.wrong for lived in lives))


def _enough_worlds(years: float, first: int) -> list[int]:
    numbers: list[int] = []
    total = 0.0
    while total < years:
        numbers.append(first + len(numbers))
        total += scenario(numbers[-1]).end / YEAR
    return numbers


def _told(lives: Sequence[Lived]) -> str:
    return (
        f"{sum(each.years for each in lives):.0f} token-years in {len(lives)} worlds: "
        f"{sum(each.ticks for each in lives):,} ticks, {sum(each.failed_ticks for each in lives):,} failed, "
        f"{sum(each.token_requests for each in lives):,} token requests; "
        f"{sum(each.expired_seconds for each in lives):.0f} expired seconds, "
        f"{sum(each.bad_tokens for each in lives)} bad tokens published, "
        f"{sum(len(each.wrong) for each in lives)} broken promises"
    )


if __name__ == "__main__":
    main()

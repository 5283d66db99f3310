"""Years of trouble within the promised budget: ``python -m rotator.simulation.soak``, or ``make soak``.

Each world draws its settings, its provider and its trouble from its number, so that what fails can
be run again. In its windows of trouble anything may fail, as often as it likes; between them all is
well for long enough to renew. No window is longer than the outage that the settings promise to survive.
Worlds of one rotation come first, then fleets, then every interleaving of three runs that time allows.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from random import Random

import click
from rich.console import Console
from rich.progress import Progress, TimeElapsedColumn, TimeRemainingColumn

from rotator.simulation.fleet_world import FleetWorld
from rotator.simulation.interleavings import Explored, explore
from rotator.simulation.random_fleets import fleet_healing, fleet_scenario, fleet_trouble
from rotator.simulation.random_scenarios import healing, scenario, trouble
from rotator.simulation.scenario import DAY
from rotator.simulation.starts import starts
from rotator.simulation.world import World, unheard

YEAR = 365.25 * DAY


@dataclass(frozen=True, kw_only=True)
class Lived:
    """What became of one world; ``wrong`` is what must never happen."""

    name: str
    years: float
    ticks: int
    failed_ticks: int
    token_requests: int
    expired_seconds: float
    bad_tokens: int
    wrong: tuple[str, ...]


def live(number: int) -> Lived:
    """Let a world live and say what became of it."""
    drawn = scenario(number)
    weather, windows = trouble(drawn)
    world = World(drawn, weather=weather)
    world.start_schedule()
    dice = Random(number)  # noqa: S311 - likewise
    for begin, end in windows:
        world.timeline.at(end + healing(drawn), world.tenant.expect_good)
        if dice.random() < 0.5:  # an operator who has heard of it
            world.start_run(dice.uniform(begin, end), force=True)
    for _ in range(10):  # and one who has not
        world.start_run(dice.uniform(0, drawn.end), force=True)
    with unheard():
        world.timeline.run_until(drawn.end)
    world.close()
    return Lived(
        name=f"world {number}",
        years=drawn.end / YEAR,
        ticks=world.ticks,
        failed_ticks=world.failed_ticks,
        token_requests=world.provider.requests,
        expired_seconds=world.consumers.expired_seconds,
        bad_tokens=world.bad_tokens,
        wrong=tuple(_wrong(world)),
    )


def live_in_a_fleet(number: int) -> Lived:
    """Let a fleet live and say what became of it."""
    drawn = fleet_scenario(number)
    weather_of, windows = fleet_trouble(drawn)
    world = FleetWorld(drawn, weather=weather_of)
    world.start_schedule()
    dice = Random(number)  # noqa: S311 - likewise
    for _, end in windows:
        for tenant in world.healthy:
            world.timeline.at(end + fleet_healing(drawn), tenant.expect_good)
    for begin, end in dice.choices(windows, k=3):  # an operator renews all by force, which may fail as well
        world.start_run(dice.uniform(begin, end), force=True)
    with unheard():
        world.timeline.run_until(drawn.common.end)
    world.close()
    wrong = list(world.broken_promises)
    if world.expired_seconds:
        wrong.append(f"consumers presented an expired token for {world.expired_seconds:.0f} s")
    return Lived(
        name=f"fleet {number}",
        years=len(drawn.tenants) * drawn.common.end / YEAR,
        ticks=world.ticks,
        failed_ticks=world.failed_ticks,
        token_requests=world.token_requests,
        expired_seconds=world.expired_seconds,
        bad_tokens=world.bad_tokens,
        wrong=tuple(wrong),
    )


def _wrong(world: World) -> Iterator[str]:
    yield from world.broken_promises
    if world.consumers.expired_seconds:
        yield f"consumers presented an expired token for {world.consumers.expired_seconds:.0f} s"
    if world.is_flooding():
        yield f"the endpoint was flooded with {world.provider.requests} requests"


def explore_three_runs(place: int, seconds: float) -> Explored:
    """Explore one of the starts of three runs, with two faults at most, for n seconds."""
    start = list(starts(3, faults=2))[place]
    end = time.monotonic() + seconds
    with unheard():
        return explore(start, go_on=lambda: time.monotonic() < end)


def _lives(live_one: Callable[[int], Lived], numbers: Sequence[int]) -> Iterator[Lived]:
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        yield from pool.map(live_one, numbers, chunksize=4)


@click.command()
@click.option("--years", default=500.0, show_default=True, help="Token-years of single rotations.")
@click.option("--fleets", default=200, show_default=True, help="Fleets of twenty rotations.")
@click.option("--seconds", default=60.0, show_default=True, help="How long to explore three runs.")
@click.option("--first", default=1, show_default=True, help="The number of the first world and fleet.")
@click.option("--only", type=int, help="Live this world alone, to see what went wrong in it.")
@click.option("--only-fleet", type=int, help="Live this fleet alone, likewise.")
def main(
    years: float, fleets: int, seconds: float, first: int, only: int | None, only_fleet: int | None
) -> None:
    """Simulate random faults within the guaranteed budget; exit with 1 if anything is wrong."""
    console = Console()
    alone = only is not None or only_fleet is not None
    numbers = ([only] if only is not None else []) if alone else _enough_worlds(years, first)
    some_fleets = ([only_fleet] if only_fleet is not None else []) if alone else range(first, first + fleets)
    wrong = [
        *_live_all(console, "worlds", live, [number for number in numbers if number is not None]),
        *_live_all(console, "fleets", live_in_a_fleet, list(some_fleets)),
        *([] if alone else _explore_all(console, seconds)),
    ]
    sys.exit(bool(wrong))


def _live_all(
    console: Console, what: str, live_one: Callable[[int], Lived], numbers: Sequence[int]
) -> list[str]:
    """Let worlds live, print what became of them, and return what is wrong."""
    lives: list[Lived] = []
    columns = (*Progress.get_default_columns()[:3], TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(f"{len(numbers)} {what}", total=len(numbers))
        for lived in _lives(live_one, numbers):
            lives.append(lived)
            progress.advance(task)
            if len(lives) * 10 // len(numbers) > (len(lives) - 1) * 10 // len(numbers):
                console.print(_told(what, lives), highlight=False, soft_wrap=True)  # also without a bar
            for wrong in lived.wrong:
                console.print(f"{lived.name}: {wrong}", style="red", highlight=False, soft_wrap=True)
    return [wrong for lived in lives for wrong in lived.wrong]


def _explore_all(console: Console, seconds: float) -> list[str]:
    """Explore three runs, print how many worlds were seen, and return what is broken."""
    places = range(len(list(starts(3, faults=2))))
    share = seconds * (os.cpu_count() or 1) / len(places)
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        explored = list(pool.map(explore_three_runs, places, [share] * len(places)))
    states, ends = sum(each.states for each in explored), sum(each.ends for each in explored)
    told = f"three runs with two faults: {states:,} states explored, {ends:,} of them final"
    console.print(told, highlight=False, soft_wrap=True)
    broken = [each.violation for each in explored if each.violation]
    for each in broken:
        console.print(each, style="red", highlight=False, soft_wrap=True)
    return broken


def _enough_worlds(years: float, first: int) -> list[int]:
    numbers: list[int] = []
    total = 0.0
    while total < years:
        numbers.append(first + len(numbers))
        total += scenario(numbers[-1]).end / YEAR
    return numbers


def _told(what: str, lives: Sequence[Lived]) -> str:
    return (
        f"{sum(each.years for each in lives):.0f} token-years in {len(lives)} {what}: "
        f"{sum(each.ticks for each in lives):,} runs, {sum(each.failed_ticks for each in lives):,} failed, "
        f"{sum(each.token_requests for each in lives):,} token requests; "
        f"{sum(each.expired_seconds for each in lives):.0f} expired seconds, "
        f"{sum(each.bad_tokens for each in lives)} bad tokens published, "
        f"{sum(len(each.wrong) for each in lives)} broken promises"
    )


if __name__ == "__main__":
    main()

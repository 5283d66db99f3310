"""Years of trouble within the promised budget: ``python -m rotator.simulation.soak``, or ``make soak``.

Each world draws its settings, its provider and its trouble from its number, so that what fails can
be run again. In its windows of trouble anything may fail, as often as it likes; between them all is
well for long enough to renew. No window is longer than the outage that the settings promise to survive.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from random import Random

import click
from rich.console import Console
from rich.progress import Progress, TimeElapsedColumn, TimeRemainingColumn

from rotator.simulation.scenario import DAY
from rotator.simulation.world import World, unheard
from rotator.simulation.worlds import healing, scenario, trouble

YEAR = 365.25 * DAY


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
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
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
                console.print(_told(lives), highlight=False, soft_wrap=True)  # also where nobody sees the bar
            for wrong in lived.wrong:
                console.print(f"world {lived.number}: {wrong}", style="red", highlight=False, soft_wrap=True)
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

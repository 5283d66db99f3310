"""Years of faults within the guaranteed budget: ``make soak``.

Each world draws its settings, its provider and its faults from its number, so that a world with a violation
can be simulated again. In its windows of faults anything may fail; between them there is time to renew. No
window is longer than the outage that the settings are guaranteed to survive.
Worlds of one rotation come first, then fleets, then as many interleavings of three runs as time allows.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from random import Random
from typing import TypeVar

import click
from rich.console import Console
from rich.progress import track

from rotator.simulation.environment import Tenant
from rotator.simulation.scenario import DAY
from rotator.simulation.world import World, quiet_logs
from soak.fleet_world import FleetWorld
from soak.health import expect_valid_token, is_flooding
from soak.initial_states import Start, starts
from soak.interleavings import Explored, explore
from soak.random_fleets import fleet_recovery_seconds, random_fleet, random_fleet_faults
from soak.random_scenarios import random_faults, random_scenario, recovery_seconds

A = TypeVar("A")
R = TypeVar("R")

YEAR = 365.25 * DAY

console = Console()
print_line = partial(console.print, highlight=False, soft_wrap=True)


@dataclass(frozen=True, kw_only=True)
class WorldResult:
    """The result of one world; ``violations`` lists violated guarantees."""

    name: str
    years: float
    runs: int
    failed_runs: int
    token_requests: int
    expired_seconds: float
    bad_tokens: int
    violations: tuple[str, ...]


def simulate_world(number: int) -> WorldResult:
    """Simulate a random world of one rotation to its end."""
    scenario = random_scenario(number)
    rates_at, windows = random_faults(scenario)
    world = World(scenario, rates_at=rates_at)
    world.start_schedule()
    random = Random(number)
    for begin, end in windows:
        world.timeline.at(end + recovery_seconds(scenario), partial(expect_valid_token, world.tenant))
        if random.random() < 0.5:  # an operator who was notified
            world.start_run(random.uniform(begin, end), force=True)
    for _ in range(10):  # and one who was not
        world.start_run(random.uniform(0, scenario.end), force=True)
    return _finish(world, f"world {number}", [world.tenant])


def simulate_fleet(number: int) -> WorldResult:
    """Simulate a random fleet to its end."""
    fleet = random_fleet(number)
    rates_of, windows = random_fleet_faults(fleet)
    world = FleetWorld(fleet, rates_of=rates_of)
    world.start_schedule()
    random = Random(number)
    for _, end in windows:
        for tenant in world.healthy:
            world.timeline.at(end + fleet_recovery_seconds(fleet), partial(expect_valid_token, tenant))
    for begin, end in random.choices(windows, k=3):  # an operator renews all by force, which may fail as well
        world.start_run(random.uniform(begin, end), force=True)
    return _finish(world, f"fleet {number}", world.healthy)


def _finish(world: World, name: str, healthy: Sequence[Tenant]) -> WorldResult:
    """Simulate a world to its end, and return the result."""
    with quiet_logs():
        world.timeline.run_until(world.scenario.end)
    tenants = world.tenants.values()
    for tenant in tenants:
        tenant.consumers.close(world.timeline.seconds)
    token_requests = sum(tenant.provider.requests for tenant in tenants)
    expired_seconds = sum(tenant.consumers.expired_seconds for tenant in healthy)
    violations = list(world.violations)
    if expired_seconds:
        violations.append(f"consumers presented an expired token for {expired_seconds:.0f} s")
    if len(tenants) == 1 and is_flooding(world):
        violations.append(f"the endpoint was flooded with {token_requests} requests")
    return WorldResult(
        name=name,
        years=len(tenants) * world.scenario.end / YEAR,
        runs=world.runs,
        failed_runs=world.failed_runs,
        token_requests=token_requests,
        expired_seconds=expired_seconds,
        bad_tokens=sum(tenant.bad_tokens for tenant in tenants),
        violations=tuple(violations),
    )


def explore_for(start: Start, seconds: float) -> Explored:
    """Explore the interleavings of a start for n seconds."""
    end = time.monotonic() + seconds
    with quiet_logs():
        return explore(start, go_on=lambda: time.monotonic() < end)


def _in_processes(function: Callable[[A], R], arguments: Sequence[A]) -> Iterator[R]:
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        yield from pool.map(function, arguments)


@click.command()
@click.option("--years", default=500.0, show_default=True, help="Token-years of single rotations.")
@click.option("--fleets", default=200, show_default=True, help="Fleets of twenty rotations.")
@click.option("--seconds", default=60.0, show_default=True, help="How long to explore three runs.")
@click.option("--first", default=1, show_default=True, help="The number of the first world and fleet.")
@click.option("--only", type=int, help="Simulate only the world with this number.")
@click.option("--only-fleet", type=int, help="Simulate only the fleet with this number.")
def main(
    *, years: float, fleets: int, seconds: float, first: int, only: int | None, only_fleet: int | None
) -> None:
    """Simulate random faults within the guaranteed budget; exit with 1 if there is a violation."""
    is_complete = only is None and only_fleet is None
    if is_complete:
        worlds, fleet_numbers = _enough_worlds(years, first), list(range(first, first + fleets))
    else:
        worlds, fleet_numbers = ([each] if each is not None else [] for each in (only, only_fleet))
    violations = [
        *_simulate_all("worlds", simulate_world, worlds),
        *_simulate_all("fleets", simulate_fleet, fleet_numbers),
        *(_explore_all(seconds) if is_complete else []),
    ]
    sys.exit(bool(violations))


def _simulate_all(what: str, simulate: Callable[[int], WorldResult], numbers: Sequence[int]) -> list[str]:
    """Simulate worlds, print their results, and return the violations."""
    results: list[WorldResult] = []
    simulated = _in_processes(simulate, numbers)
    for result in track(simulated, f"{len(numbers)} {what}", len(numbers), console=console):
        results.append(result)
        if len(results) % max(1, len(numbers) // 10) == 0 or len(results) == len(numbers):
            print_line(_summary(what, results))  # shows the progress if there is no terminal
        for violation in result.violations:
            print_line(f"{result.name}: {violation}", style="red")
    return [violation for result in results for violation in result.violations]


def _explore_all(seconds: float) -> list[str]:
    """Explore three runs with two faults, print how many states were seen, and return the violations."""
    all_starts = list(starts(3, faults=2))
    share = seconds * (os.cpu_count() or 1) / len(all_starts)
    explored = list(_in_processes(partial(explore_for, seconds=share), all_starts))
    states, ends = sum(each.states for each in explored), sum(each.ends for each in explored)
    print_line(f"three runs with two faults: {states:,} states explored, {ends:,} of them final")
    violations = [each.violation for each in explored if each.violation]
    for violation in violations:
        print_line(violation, style="red")
    return violations


def _enough_worlds(years: float, first: int) -> list[int]:
    """Return the numbers of as many worlds as n token-years take, from the first on."""
    numbers: list[int] = []
    total = 0.0
    while total < years:
        numbers.append(first + len(numbers))
        total += random_scenario(numbers[-1]).end / YEAR
    return numbers


def _summary(what: str, results: Sequence[WorldResult]) -> str:
    return (
        f"{sum(each.years for each in results):.0f} token-years in {len(results)} {what}: "
        f"{sum(each.runs for each in results):,} runs, {sum(each.failed_runs for each in results):,} failed, "
        f"{sum(each.token_requests for each in results):,} token requests; "
        f"{sum(each.expired_seconds for each in results):.0f} expired seconds, "
        f"{sum(each.bad_tokens for each in results)} bad tokens published, "
        f"{sum(len(each.violations) for each in results)} violations"
    )


if __name__ == "__main__":
    main()

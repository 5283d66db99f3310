"""Random fleets, each drawn from its number: rotations on a few hosts, and faults within the budget."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random

from rotator.renewal.guarantee import Guarantee
from rotator.renewal.policy import RUN_BUDGET_SECONDS
from rotator.simulation.scenario import DAY, Behaviour, Rates, RatesAt, Scenario
from soak.fleet_world import ENDPOINT_DOWN, FleetScenario
from soak.random_scenarios import (
    LEASE_SECONDS,
    Window,
    fault_windows,
    guaranteed_outage,
    rates_in_windows,
    recovery_seconds,
)

ROTATIONS = 20
HOSTS = 3

LEAST_QUOTA = 0.6
"""Writes a second: a little more than the rate to which throttling slows a run down."""

RUNS = 500
"""How many scheduled runs a fleet has."""


def random_fleet(number: int) -> FleetScenario:
    """Draw a fleet whose write rate lets all rotations be renewed, with a budget for faults."""
    random = Random(number)
    while True:
        drawn = _draw(random, number)
        if fleet_fault_budget(drawn) >= drawn.common.guarantee.schedule_interval:
            return drawn


def _draw(random: Random, number: int) -> FleetScenario:
    interval = random.choice((60.0, 120.0, 300.0))
    lifetime = float(round(10 ** random.uniform(3.8, 5.0)))  # two hours to a day
    guarantee = Guarantee(schedule_interval=interval, consumer_cache=random.choice((0.0, 60.0, 300.0)))
    hosts = tuple(random.randrange(HOSTS) for _ in range(ROTATIONS))
    shares_endpoint = [random.random() < 0.5 for _ in range(HOSTS)]
    common = Scenario(guarantee=guarantee, lifetime=lifetime, seed=number, days=RUNS * interval / DAY)
    scenarios = []
    for place, host in enumerate(hosts):
        name = f"tenant-{place:02}"
        path = "" if shares_endpoint[host] else f"/{name}"
        rotation = replace(
            common.rotation,
            name=name,
            secret_id=name,
            parameter_name=f"/fleet-{number}/{name}",
            token_endpoint=f"https://host-{host}.example.test{path}/token",
            renew_at=round(random.uniform(0.3, 0.7), 3),
        )
        scenarios.append(replace(common, rotation=rotation, behaviour=random.choice(tuple(Behaviour))))
    rate, workers = random.choice(((0.5, 0), (1.0, 0), (2.0, 0), (5.0, 0), (2.0, 2), (5.0, 4)))
    return FleetScenario(
        scenarios=tuple(scenarios),
        hosts=hosts,
        slow_hosts=frozenset(host for host in range(HOSTS) if random.random() < 0.3),
        down_hosts=frozenset(random.choice(([], [], [HOSTS - 1]))),
        quota=max(LEAST_QUOTA, rate * random.choice((0.6, 1.0, 10.0))),
        write_rate=rate,
        workers=workers,
        broken=tuple(f"broken-{number}" for number in range(random.randrange(3))),
        rejected=frozenset(f"tenant-{random.randrange(ROTATIONS):02}" for _ in range(random.randrange(3))),
    )


def fleet_fault_budget(fleet: FleetScenario) -> float:
    """Return how many seconds faults may last so that there is time to renew every rotation afterwards."""
    outage = min(map(guaranteed_outage, fleet.scenarios))
    interval = fleet.common.guarantee.schedule_interval
    return outage - 2 * interval - LEASE_SECONDS - fleet_recovery_seconds(fleet)


def fleet_recovery_seconds(fleet: FleetScenario) -> float:
    """Return how long it takes after a fault until all rotations are renewed."""
    return recovery_seconds(fleet.common) + fleet.runs_to_serve_all * fleet.common.guarantee.schedule_interval


def random_fleet_faults(fleet: FleetScenario) -> tuple[Callable[[int], RatesAt], list[Window]]:
    """Draw the faults of a fleet; return their rates by host, and the windows in which they occur."""
    random = Random(-fleet.common.seed)
    pause = fleet_recovery_seconds(fleet) + fleet.common.guarantee.schedule_interval
    longest = fleet_fault_budget(fleet)
    windows = list(fault_windows(random, fleet.common, longest=longest, pause=pause))
    rates = [[_random_rates(random) for _ in range(HOSTS)] for _ in windows]

    def rates_of(host: int) -> RatesAt:
        if host in fleet.down_hosts:
            return ENDPOINT_DOWN
        # Faults of runs and AWS are the same for all hosts.
        of_host = [replace(of_hosts[0], endpoint=of_hosts[host].endpoint) for of_hosts in rates]
        return rates_in_windows(windows, of_host)

    return rates_of, windows


def _random_rates(random: Random) -> Rates:
    return Rates(
        endpoint=random.choice((0.0, 0.0, 0.3, 1.0)),
        aws=random.choice((0.0, 0.0, 0.1, 0.5)),
        crashes=random.choice((0.0, 0.0, 0.01, 0.1)),
        missed=random.choice((0.0, 0.3)),
        duplicated=random.choice((0.0, 0.5)),
        delay=random.choice((0.0, RUN_BUDGET_SECONDS)),
    )

"""Random fleets, each drawn from its number: rotations on a few hosts, and trouble within the budget."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random

from rotator.renewal.guarantee import Contract
from rotator.renewal.policy import RUN_BUDGET
from rotator.simulation.fleet_world import DOWN, FleetScenario
from rotator.simulation.random_scenarios import CALM, LEASE, healing, promised_outage, trouble_windows
from rotator.simulation.scenario import DAY, Behaviour, Rates, Scenario, Weather

ROTATIONS = 20
HOSTS = 3
LEAST_QUOTA = 0.6
"""Writes a second: a little more than the rate to which throttling slows a run down."""

RUNS = 500
"""How many scheduled runs a fleet lives through."""


def fleet_scenario(number: int) -> FleetScenario:
    """Draw a fleet whose rotations the rate of writes lets renew with room for trouble."""
    dice = Random(number)  # noqa: S311 - the same fleet for the same number
    while True:
        drawn = _draw(dice, number)
        if fleet_budget(drawn) >= drawn.common.contract.schedule_interval:
            return drawn


def _draw(dice: Random, number: int) -> FleetScenario:
    interval = dice.choice((60.0, 120.0, 300.0))
    lifetime = float(round(10 ** dice.uniform(3.8, 5.0)))  # two hours to a day
    contract = Contract(schedule_interval=interval, consumer_cache=dice.choice((0.0, 60.0, 300.0)))
    hosts = tuple(dice.randrange(HOSTS) for _ in range(ROTATIONS))
    shares_endpoint = [dice.random() < 0.5 for _ in range(HOSTS)]
    tenants = []
    for place, host in enumerate(hosts):
        name = f"tenant-{place:02}"
        path = "" if shares_endpoint[host] else f"/{name}"
        base = Scenario(contract=contract, lifetime=lifetime, seed=number, days=RUNS * interval / DAY)
        settings = replace(
            base.rotation,
            name=name,
            secret_id=name,
            parameter_name=f"/fleet-{number}/{name}",
            token_endpoint=f"https://host-{host}.example.test{path}/token",
            renew_at=round(dice.uniform(0.3, 0.7), 3),
        )
        tenants.append(replace(base, rotation=settings, behaviour=dice.choice(tuple(Behaviour))))
    rate, workers = dice.choice(((0.5, 0), (1.0, 0), (2.0, 0), (5.0, 0), (2.0, 2), (5.0, 4)))
    return FleetScenario(
        tenants=tuple(tenants),
        hosts=hosts,
        slow=frozenset(host for host in range(HOSTS) if dice.random() < 0.3),
        dead=frozenset(dice.choice(([], [], [HOSTS - 1]))),
        quota=max(LEAST_QUOTA, rate * dice.choice((0.6, 1.0, 10.0))),
        write_rate=rate,
        workers=workers,
        broken=tuple(f"broken-{number}" for number in range(dice.randrange(3))),
        refused=frozenset(f"tenant-{dice.randrange(ROTATIONS):02}" for _ in range(dice.randrange(3))),
    )


def fleet_budget(drawn: FleetScenario) -> float:
    """Return the longest trouble in seconds after which there is time to renew every rotation."""
    interval = drawn.common.contract.schedule_interval
    outage = min(map(promised_outage, drawn.tenants))
    return outage - 2 * interval - LEASE - fleet_healing(drawn)


def fleet_healing(drawn: FleetScenario) -> float:
    """Return the seconds after which all rotations are renewed again."""
    return healing(drawn.common) + drawn.runs_to_serve_all * drawn.common.contract.schedule_interval


def fleet_trouble(drawn: FleetScenario) -> tuple[Callable[[int], Weather], list[tuple[float, float]]]:
    """Draw the windows of trouble; return the weather of each host in them, and when each begins and ends."""
    dice = Random(-drawn.common.seed)  # noqa: S311 - likewise
    pause = fleet_healing(drawn) + drawn.common.contract.schedule_interval
    windows = list(trouble_windows(dice, drawn.common, longest=fleet_budget(drawn), pause=pause))
    rates = [[_rates(dice, RUN_BUDGET) for _ in range(HOSTS)] for _ in windows]

    def weather_of(host: int) -> Weather:
        if host in drawn.dead:
            return DOWN

        def weather(now: float) -> Rates:
            for (begin, end), of_hosts in zip(windows, rates, strict=True):
                if begin <= now < end:
                    # What concerns runs and AWS is drawn once for all hosts.
                    return replace(of_hosts[0], endpoint=of_hosts[host].endpoint)
            return CALM

        return weather

    return weather_of, windows


def _rates(dice: Random, delay: float) -> Rates:
    return Rates(
        endpoint=dice.choice((0.0, 0.0, 0.3, 1.0)),
        aws=dice.choice((0.0, 0.0, 0.1, 0.5)),
        crashes=dice.choice((0.0, 0.0, 0.01, 0.1)),
        missed=dice.choice((0.0, 0.3)),
        duplicated=dice.choice((0.0, 0.5)),
        delay=dice.choice((0.0, delay)),
    )

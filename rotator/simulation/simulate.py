"""Scenario in, report out: what a month, a year or a bad week would do to consumers."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from rotator.renewal.durations import describe_seconds
from rotator.renewal.policy import JITTER, RUN_BUDGET_SECONDS
from rotator.simulation.consumers import Published
from rotator.simulation.scenario import DAY, Behaviour, Rates, Scenario
from rotator.simulation.world import World, unheard

STEPS = 200
"""Into how many parts a simulation is cut, to tell how far it is."""

Progress = Callable[[float], None]


@dataclass(frozen=True, kw_only=True)
class Report:
    """What happened. Durations and times are seconds, times since the beginning.

    ``least_remaining_life`` is None if no token was ever published.
    """

    scenario: Scenario
    least_remaining_life: float | None
    expired_seconds: float
    revoked_seconds: float
    bad_tokens: int
    token_requests: int
    aws_calls: int
    ticks: int
    failed_ticks: int
    outcomes: dict[str, int]
    outages: tuple[tuple[float, float], ...]
    history: tuple[Published, ...]
    broken_promises: tuple[str, ...]
    longest_outage_confirmed: bool

    def to_dict(self) -> dict[str, Any]:
        """The report as ``--json`` gives it."""
        scenario, least = self.scenario, self.least_remaining_life
        return {
            "settings": {
                "lifetime": scenario.lifetime,
                "schedule": scenario.guarantee.schedule_interval,
                "cache": scenario.guarantee.consumer_cache,
                "renew_at": scenario.rotation.renew_at,
                "outage": scenario.outage,
                "every": scenario.outages_every,
                "days": scenario.days,
                "seed": scenario.seed,
                "provider": scenario.behaviour.value,
                "clock_skew": scenario.clock_skew,
                **asdict(scenario.rates),
            },
            "minimum_remaining_life_seconds": math.floor(scenario.guaranteed_lifetime),
            "least_remaining_life_seconds": None if least is None else math.floor(least),
            "expired_seconds": math.ceil(self.expired_seconds),
            "revoked_seconds": math.ceil(self.revoked_seconds),
            "outages": len(self.outages),
            "longest_outage_seconds": int(scenario.longest_outage),
            "longest_outage_confirmed": self.longest_outage_confirmed,
            "bad_tokens": self.bad_tokens,
            "token_requests": self.token_requests,
            "aws_calls": self.aws_calls,
            "ticks": self.ticks,
            "failed_ticks": self.failed_ticks,
            "outcomes": dict(sorted(self.outcomes.items())),
            "broken_promises": list(self.broken_promises),
        }


def simulate(scenario: Scenario, progress: Progress = lambda _share: None) -> Report:
    """Run a scenario to its end and confirm the longest outage that its settings survive.

    Raises SettingsError for one that cannot be simulated. ``progress`` is told the share done.
    """
    scenario.check()
    world = _run(scenario, progress)
    return Report(
        scenario=scenario,
        least_remaining_life=world.consumers.least_remaining_life,
        expired_seconds=world.consumers.expired_seconds,
        revoked_seconds=world.consumers.revoked_seconds,
        bad_tokens=world.bad_tokens,
        token_requests=world.provider.requests,
        aws_calls=world.aws_calls,
        ticks=world.ticks,
        failed_ticks=world.failed_ticks,
        outcomes=dict(world.outcomes),
        outages=tuple(world.provider.outages),
        history=tuple(world.consumers.history),
        broken_promises=tuple(world.broken_promises),
        longest_outage_confirmed=_is_confirmed(scenario),
    )


def _run(scenario: Scenario, progress: Progress = lambda _share: None) -> World:
    world = World(scenario)
    world.start_schedule()
    if scenario.outage:
        _plan_outages(world, scenario)
    with unheard():
        for step in range(1, STEPS + 1):
            world.timeline.run_until(scenario.end * step / STEPS)
            progress(step / STEPS)
    world.close()
    return world


def _plan_outages(world: World, scenario: Scenario) -> None:
    """The first comes with the first renewal; the first token itself is let through."""
    when = scenario.lifetime * 0.05
    while when + scenario.outage < scenario.end:
        world.timeline.at(when, lambda: world.provider.go_down_instead_of_issuing(scenario.outage))
        when += scenario.outages_every


def _is_confirmed(scenario: Scenario) -> bool:
    """Whether an outage of the promised length is survived when run, and one that must be noticed is."""
    trial = replace(
        scenario,
        rates=Rates(),
        behaviour=Behaviour.STEADY,
        clock_skew=0,
        days=4 * (scenario.lifetime + scenario.longest_outage) / DAY,
        outages_every=2 * (scenario.lifetime + scenario.longest_outage),
    )
    # Jitter may have begun the renewal earlier, retries go on for a while, the schedule is coarse.
    spare = JITTER * scenario.lifetime + 2 * scenario.guarantee.schedule_interval + RUN_BUDGET_SECONDS
    survived = _run(replace(trial, outage=scenario.longest_outage)).consumers.expired_seconds
    noticed = _run(replace(trial, outage=scenario.longest_outage + spare)).consumers.expired_seconds
    return survived == 0 < noticed


def headline(report: Report) -> str:
    """The one sentence for whoever asked."""
    if report.least_remaining_life is None:
        return "no token was ever published"
    said = "no consumer would have presented an expired token"
    if report.expired_seconds:
        said = (
            f"consumers would have presented an expired token for {describe_seconds(report.expired_seconds)}"
        )
    if report.revoked_seconds:
        said += f"; a revoked one stood in the parameter for {describe_seconds(report.revoked_seconds)}"
    return said

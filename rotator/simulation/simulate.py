"""Simulates a scenario and reports its effect on consumers."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from rotator.renewal.durations import describe_seconds
from rotator.renewal.policy import JITTER, RUN_BUDGET_SECONDS
from rotator.simulation.scenario import DAY, NO_FAULTS, Behaviour, Scenario
from rotator.simulation.world import World, quiet_logs

STEPS = 200
"""The number of progress reports of a simulation."""


@dataclass(frozen=True)
class Report:
    """The world at the end of its simulation, and whether trials confirm the computed longest outage."""

    world: World
    longest_outage_confirmed: bool

    def to_dict(self) -> dict[str, Any]:
        """Return the report as ``--json`` prints it."""
        world, scenario = self.world, self.world.scenario
        least = world.consumers.least_remaining_seconds
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
            "guaranteed_remaining_seconds": math.floor(scenario.guaranteed_lifetime),
            "least_remaining_seconds": None if least is None else math.floor(least),
            "expired_seconds": math.ceil(world.consumers.expired_seconds),
            "revoked_seconds": math.ceil(world.consumers.revoked_seconds),
            "outages": len(world.provider.outages),
            "longest_outage_seconds": int(scenario.longest_outage),
            "longest_outage_confirmed": self.longest_outage_confirmed,
            "bad_tokens": world.tenant.bad_tokens,
            "token_requests": world.provider.requests,
            "aws_calls": world.aws_calls,
            "runs": world.runs,
            "failed_runs": world.failed_runs,
            "outcomes": dict(sorted(world.outcomes.items())),
            "violations": world.violations,
        }


def simulate(scenario: Scenario, on_progress: Callable[[float], None] = lambda _share: None) -> Report:
    """Run a scenario to its end, and confirm the longest outage that its settings survive.

    ``on_progress`` receives the share that is done. Raises SettingsError if the scenario cannot be simulated.
    """
    scenario.check()
    return Report(_run(scenario, on_progress), longest_outage_confirmed=_is_confirmed(scenario))


def _run(scenario: Scenario, on_progress: Callable[[float], None] | None = None) -> World:
    """Simulate a scenario. A trial, which reports no progress, stops once consumers notice an outage."""
    world = World(scenario)
    world.start_schedule()
    # The first outage begins with the first renewal, after the first token was issued.
    when = scenario.lifetime * 0.05
    while scenario.outage and when + scenario.outage < scenario.end:
        world.timeline.at(when, lambda: world.provider.go_down_instead_of_issuing(scenario.outage))
        when += scenario.outages_every
    with quiet_logs():
        for step in range(1, STEPS + 1):
            world.timeline.run_until(scenario.end * step / STEPS)
            if on_progress:
                on_progress(step / STEPS)
            elif world.consumers.expired_seconds:
                break
    world.consumers.close(world.timeline.seconds)
    return world


def _is_confirmed(scenario: Scenario) -> bool:
    """Return whether simulated consumers survive the longest outage, and do not survive a longer one."""
    duration_seconds = 2 * (scenario.lifetime + scenario.longest_outage)  # one outage, and its effect
    trial = replace(
        scenario,
        rates=NO_FAULTS,
        behaviour=Behaviour.STEADY,
        clock_skew=0,
        days=duration_seconds / DAY,
        outages_every=duration_seconds,
    )
    # A slightly longer outage may be survived as well, because of jitter, retries and schedule intervals.
    spare = JITTER * scenario.lifetime + 2 * scenario.guarantee.schedule_interval + RUN_BUDGET_SECONDS
    survived, too_long = (
        _run(replace(trial, outage=scenario.longest_outage + more)).consumers.expired_seconds
        for more in (0, spare)
    )
    return survived == 0 < too_long


def headline(world: World) -> str:
    """Return the scenario's effect on consumers in one sentence."""
    if not world.consumers.history:
        return "no token was ever published"
    expired, revoked = world.consumers.expired_seconds, world.consumers.revoked_seconds
    sentence = "no consumer would have presented an expired token"
    if expired:
        sentence = f"consumers would have presented an expired token for {describe_seconds(expired)}"
    if revoked:
        sentence += f"; the parameter contained a revoked one for {describe_seconds(revoked)}"
    return sentence

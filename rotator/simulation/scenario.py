"""A scenario: the simulated settings, and how often faults occur."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from rotator.errors import SettingsError
from rotator.renewal.durations import describe_seconds
from rotator.renewal.guarantee import Guarantee
from rotator.renewal.models import Rotation

DAY = 86400.0

OPTIONS = {"renew_at": "--renew-at", "schedule_interval": "--schedule", "consumer_cache": "--cache"}
"""The command-line options that set these fields."""

REPEATED_UNTIL = 0.25
"""The remaining share of a token's lifetime until which a repeating provider returns the token again."""

SHORTEST_OF_VARYING = 0.5
"""The shortest lifetime that a varying provider gives, as a share of the longest."""


class Behaviour(StrEnum):
    """The kinds of providers."""

    STEADY = "steady"
    REVOKES_OLDER = "revokes-older"
    REPEATS = "repeats"
    VARIES = "varies"


@dataclass(frozen=True, kw_only=True)
class Rates:
    """How often faults occur, as shares from 0 to 1.

    Args:
        endpoint: The share of token requests that fail.
        aws: The share of AWS calls that fail, some of them after they took effect.
        crashes: The share of all calls before or after which the process is killed.
        missed: The share of scheduled runs that do not start.
        duplicated: The share of scheduled runs that start twice.
        delay: The maximum delay of a scheduled run in seconds.
    """

    endpoint: float = 0
    aws: float = 0
    crashes: float = 0
    missed: float = 0
    duplicated: float = 0
    delay: float = 0


NO_FAULTS = Rates()

RatesAt = Callable[[float], Rates]
"""Returns how often faults occur at a time, in seconds since the beginning."""

ROTATION = Rotation(name="simulated", secret_id="simulated", parameter_name="/simulated/token")  # noqa: S106


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """The simulated settings and faults; times are seconds.

    Args:
        rotation: The settings of the rotation.
        lifetime: The lifetime of a token.
        guarantee: The schedule, and the guarantee to consumers.
        days: The duration of the simulation.
        seed: The same seed gives the same result.
        outage: The duration of each outage of the endpoint. An outage begins at the worst moment, with the
            request that would have renewed the token.
        outages_every: The interval between outages.
        rates: How often other faults occur.
        behaviour: The kind of provider.
        clock_skew: How far the provider's clock is ahead; behind if negative.
    """

    rotation: Rotation = ROTATION
    lifetime: float = DAY
    guarantee: Guarantee = field(default_factory=Guarantee)
    days: float = 30
    seed: int = 1
    outage: float = 0
    outages_every: float = 7 * DAY
    rates: Rates = NO_FAULTS
    behaviour: Behaviour = Behaviour.STEADY
    clock_skew: float = 0

    @property
    def end(self) -> float:
        """The end of the simulation, in seconds since its beginning."""
        return self.days * DAY

    @property
    def guaranteed_lifetime(self) -> float:
        """The remaining lifetime that consumers are guaranteed, with outages of this length."""
        return self.guarantee.guaranteed_lifetime(self.lifetime, self.rotation.renew_at, outage=self.outage)

    @property
    def longest_outage(self) -> float:
        """The longest outage in seconds that does not affect consumers with these settings."""
        return self.guarantee.longest_outage(self.lifetime, self.rotation.renew_at)

    def check(self) -> None:
        """Raise SettingsError, which advises the nearest valid setting, if this cannot be simulated."""
        if problem := self.guarantee.problem(self.lifetime, self.rotation.renew_at, OPTIONS):
            raise problem
        lifetime, outage, every = map(describe_seconds, (self.lifetime, self.outage, self.outages_every))
        if self.lifetime + self.outage > self.end:
            needed = f"one token of {lifetime}" + (f" and an outage of {outage}" if self.outage else "")
            days = math.ceil((self.lifetime + self.outage) / DAY)
            raise SettingsError(
                f"{self.days:g} days are not enough for {needed}", advice=f"set --days to {days} or more"
            )
        if self.outage >= self.outages_every:
            raise SettingsError(
                f"an outage of {outage} every {every} never ends", advice=f"set --every to more than {outage}"
            )

"""What is simulated: the settings under trial, and how often things go wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from rotator.errors import SettingsError
from rotator.renewal.durations import describe_seconds
from rotator.renewal.guarantee import Guarantee
from rotator.renewal.models import Rotation

DAY = 86400.0

OPTIONS = {
    "renew_at": "--renew-at",
    "schedule_interval": "--schedule",
    "consumer_cache": "--cache",
}
"""The options of the command line that set them."""

REPEATED_UNTIL = 0.25
"""The remaining share of a token's lifetime down to which a provider that repeats tokens repeats it."""

SHORTEST_OF_VARYING = 0.5
"""The share of the lifetime that the tokens of a provider whose tokens vary have at least."""


class Behaviour(StrEnum):
    """What kind of provider issues the tokens."""

    STEADY = "steady"
    REVOKES_OLDER = "revokes-older"
    REPEATS = "repeats"
    VARIES = "varies"


@dataclass(frozen=True, kw_only=True)
class Rates:
    """How often things go wrong, as shares from 0 to 1.

    Args:
        endpoint: Of the token requests, those that fail.
        aws: Of the AWS calls, those that fail, some of them after having done what was asked.
        crashes: Of all calls, those before or after which the process ends.
        missed: Of the scheduled runs, those that do not come.
        duplicated: Of the scheduled runs, those that come twice.
        delay: The most seconds by which a scheduled run comes late.
    """

    endpoint: float = 0
    aws: float = 0
    crashes: float = 0
    missed: float = 0
    duplicated: float = 0
    delay: float = 0


NO_FAULTS = Rates()

RatesAt = Callable[[float], Rates]
"""Returns how often things go wrong at a time, in seconds since the beginning."""

ROTATION = Rotation(name="simulated", secret_id="simulated", parameter_name="/simulated/token")  # noqa: S106


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """The settings under trial and the faults they are put to; times are seconds.

    Args:
        rotation: The settings of the rotation.
        lifetime: Of a token.
        guarantee: The schedule, and what consumers are guaranteed.
        days: How long to simulate.
        seed: The same seed gives the same result.
        outage: How long the endpoint is down each time. An outage begins at the worst moment, with the
            request that would have renewed the token.
        outages_every: How often it is down.
        rates: How often other things go wrong.
        behaviour: The kind of provider.
        clock_skew: By how much the provider's clock is ahead, or behind if negative.
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
        """When the simulation ends, in seconds since its beginning."""
        return self.days * DAY

    @property
    def guaranteed_lifetime(self) -> float:
        """The remaining lifetime that consumers are guaranteed, with outages of this length."""
        return self.guarantee.guaranteed_lifetime(self.lifetime, self.rotation.renew_at, outage=self.outage)

    @property
    def longest_outage(self) -> float:
        """The longest outage in seconds that no consumer notices with these settings."""
        return self.guarantee.longest_outage(self.lifetime, self.rotation.renew_at)

    def check(self) -> None:
        """Raise SettingsError, with the nearest setting that works, if this cannot be simulated."""
        if problem := self.guarantee.problem(self.lifetime, self.rotation.renew_at, OPTIONS):
            raise problem
        if self.lifetime + self.outage > self.end:
            days = -(-(self.lifetime + self.outage) // DAY)
            outage = f" and an outage of {describe_seconds(self.outage)}" if self.outage else ""
            raise SettingsError(
                f"{self.days:g} days are not enough for one token of "
                f"{describe_seconds(self.lifetime)}{outage}",
                advice=f"set --days to {days:.0f} or more",
            )
        if self.outage >= self.outages_every:
            raise SettingsError(
                f"an outage of {describe_seconds(self.outage)} every "
                f"{describe_seconds(self.outages_every)} never ends",
                advice=f"set --every to more than {describe_seconds(self.outage)}",
            )

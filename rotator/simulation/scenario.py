"""What is simulated: the settings under trial, and how bad the days are."""

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
"""What the settings are called on this command line."""

REPEATED_UNTIL = 0.25
"""A provider that repeats its tokens does so until this part of a token's life is left."""

SHORTEST_OF_VARYING = 0.5
"""A provider whose tokens vary issues none that live shorter than this part of the lifetime."""


class Behaviour(StrEnum):
    """What kind of provider issues the tokens."""

    STEADY = "steady"
    ENDS_OLDER = "ends-older"
    REPEATS = "repeats"
    VARIES = "varies"


@dataclass(frozen=True, kw_only=True)
class Rates:
    """How often things go wrong: shares of the requests, calls or ticks, from 0 to 1.

    ``aws`` are AWS calls that fail, some of them after having done what was asked; ``crashes`` are
    calls before or after which the process dies. ``delay`` is the most seconds that a tick comes late.
    """

    endpoint: float = 0
    aws: float = 0
    crashes: float = 0
    missed: float = 0
    duplicated: float = 0
    delay: float = 0


Weather = Callable[[float], Rates]
"""How bad it is at a time, in seconds since the beginning."""


def _simulated_rotation() -> Rotation:
    return Rotation(name="simulated", secret_id="simulated", parameter_name="/simulated/token")  # noqa: S106


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """The settings under trial and the trouble they are put to. Times are seconds.

    ``outage`` is how long the endpoint is down each time, ``outages_every`` how often that happens;
    each outage begins at the worst moment, with the request that would have renewed the token.
    """

    rotation: Rotation = field(default_factory=_simulated_rotation)
    lifetime: float = DAY
    guarantee: Guarantee = field(default_factory=Guarantee)
    days: float = 30
    seed: int = 1
    outage: float = 0
    outages_every: float = 7 * DAY
    rates: Rates = Rates()
    behaviour: Behaviour = Behaviour.STEADY
    clock_skew: float = 0

    @property
    def end(self) -> float:
        """When the simulation ends, in seconds since its beginning."""
        return self.days * DAY

    @property
    def guaranteed_lifetime(self) -> float:
        """The life in seconds that consumers are promised to find, outages of this length included."""
        return self.guarantee.guaranteed_lifetime(self.lifetime, self.rotation.renew_at, outage=self.outage)

    @property
    def longest_outage(self) -> float:
        """The longest outage in seconds that these settings promise to survive."""
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

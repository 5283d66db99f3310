"""The contract with consumers: how much life a token has left whenever they read it.

Pure arithmetic on seconds. It holds for those who keep a token no longer than ``consumer_cache``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from rotator.errors import SettingsError
from rotator.renewal.durations import describe_seconds
from rotator.renewal.policy import RUN_BUDGET_SECONDS

MIN_RENEW_AT = 0.1
"""The least ``renew_at`` that the settings take."""

MIN_SCHEDULE_SECONDS = 60.0
"""The shortest interval in seconds at which EventBridge Scheduler runs anything."""

ROUNDING_SECONDS = 1e-6
"""Seconds: what the arithmetic of fractions leaves over is no problem of anybody's."""

SETTING_NAMES = MappingProxyType(
    {
        "renew_at": "ROTATOR_RENEW_AT",
        "schedule_interval": "ROTATOR_SCHEDULE_INTERVAL",
        "consumer_cache": "ROTATOR_CONSUMER_CACHE",
    }
)
"""What the parts of the contract are called where they are set."""


@dataclass(frozen=True, kw_only=True)
class Guarantee:
    """What the promise to consumers is made of besides the token's life, in seconds."""

    schedule_interval: float = 300
    consumer_cache: float = 300
    run_budget: float = RUN_BUDGET_SECONDS

    def guaranteed_lifetime(self, lifetime: float, renew_at: float, *, outage: float = 0.0) -> float:
        """The least life in seconds that a consumer ever finds. Negative: tokens end before they are renewed.

        Renewal window - schedule interval - run budget - outage. An outage counts in whole intervals,
        since only the first run after it can renew; it may begin with the last request of one run
        and end just after the first of another, so a run's budget counts with it.
        """
        runs_missed = math.ceil((outage + self.run_budget) / self.schedule_interval) if outage else 0
        window = lifetime * (1 - renew_at)
        return window - self.schedule_interval - self.run_budget - runs_missed * self.schedule_interval

    def longest_outage(self, lifetime: float, renew_at: float) -> float:
        """The longest outage of the endpoint in seconds that no consumer notices; 0 if there is none."""
        spare = self.guaranteed_lifetime(lifetime, renew_at) - self.consumer_cache
        runs_missed = spare // self.schedule_interval
        return max(0.0, runs_missed * self.schedule_interval - self.run_budget)

    def problem(
        self, lifetime: float, renew_at: float, names: Mapping[str, str] = SETTING_NAMES
    ) -> SettingsError | None:
        """Say why consumers may present a dead token, and the nearest settings that work.

        None when they may not: the contract holds. ``names`` is what the advice calls the settings.
        """
        least = self.guaranteed_lifetime(lifetime, renew_at)
        if least >= self.consumer_cache - ROUNDING_SECONDS:
            return None
        token = describe_seconds(round(lifetime, -1) or lifetime)
        interval = describe_seconds(self.schedule_interval)
        window = lifetime * (1 - renew_at)
        if lifetime <= self.schedule_interval:
            problem = (
                f"a token of {token} leaves consumers nothing to count on: "
                f"it ends before the next run, which comes every {interval}"
            )
        elif window <= self.schedule_interval:
            problem = (
                f"a token of {token} renewed at {renew_at:g} of its life leaves consumers nothing to count "
                f"on: {describe_seconds(window)} to renew it in, and a run every {interval} only"
            )
        else:
            problem = (
                f"a token of {token} renewed at {renew_at:g} of its life, every {interval}, leaves consumers "
                f"{math.floor(least)} s at the least, but they cache for {self.consumer_cache:.0f} s"
            )
        return SettingsError(problem, advice=self._advice(lifetime, renew_at, names))

    def _advice(self, lifetime: float, renew_at: float, names: Mapping[str, str]) -> str:
        """Every setting that mends it alone; where none does, the lifetime that would."""
        window = lifetime * (1 - renew_at)
        latest = 1 - (self.consumer_cache + self.schedule_interval + self.run_budget) / lifetime
        slowest = window - self.consumer_cache - self.run_budget
        least = self.guaranteed_lifetime(lifetime, renew_at)
        ways = []
        if latest >= MIN_RENEW_AT:
            ways.append(f"set {names['renew_at']} to {math.floor(latest * 100) / 100:g} or less")
        if slowest >= MIN_SCHEDULE_SECONDS:
            often = f"run every {slowest // 60:.0f}m or more often"
            ways.append(f"{often}, with {names['schedule_interval']} set to it")
        if least >= 0:
            longest = f"let consumers cache for {math.floor(least)} s at the most"
            ways.append(f"{longest} ({names['consumer_cache']})")
        if not ways:
            needed = (self.consumer_cache + self.schedule_interval + self.run_budget) / (1 - renew_at)
            ways.append(f"ask for tokens of {math.ceil(needed / 60)}m or longer")
        return ", or ".join(ways)

"""The guarantee to consumers: the least remaining lifetime of a token when they read it.

Pure arithmetic on seconds. The guarantee holds for consumers that cache a token for at most
``consumer_cache``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from rotator.errors import SettingsError
from rotator.renewal.durations import describe_seconds
from rotator.renewal.policy import RUN_BUDGET_SECONDS

ROUNDING_SECONDS = 1e-6
"""The tolerated error of the arithmetic on fractions."""

SETTING_NAMES: Mapping[str, str] = {
    key: f"ROTATOR_{key.upper()}" for key in ("renew_at", "schedule_interval", "consumer_cache")
}
"""The names of the settings in messages."""


@dataclass(frozen=True, kw_only=True)
class Guarantee:
    """The settings that determine the guarantee for a lifetime, in seconds."""

    schedule_interval: float = 300
    consumer_cache: float = 300
    run_budget: float = RUN_BUDGET_SECONDS

    def guaranteed_lifetime(self, lifetime: float, renew_at: float, *, outage: float = 0.0) -> float:
        """Return the guaranteed remaining lifetime in seconds; negative if tokens expire before renewal.

        Renewal window - schedule interval - run budget - outage. An outage counts in whole intervals, because
        only the first run after the outage can renew. The outage may begin with the last request of one run
        and end just after the first request of another, so the run budget is added to it.
        """
        runs_missed = math.ceil((outage + self.run_budget) / self.schedule_interval) if outage else 0
        window = lifetime * (1 - renew_at)
        return window - self.schedule_interval - self.run_budget - runs_missed * self.schedule_interval

    def longest_outage(self, lifetime: float, renew_at: float) -> float:
        """Return the longest outage of the endpoint, in seconds, that does not affect consumers."""
        spare = self.guaranteed_lifetime(lifetime, renew_at) - self.consumer_cache
        runs_missed = spare // self.schedule_interval
        return max(0.0, runs_missed * self.schedule_interval - self.run_budget)

    def problem(
        self, lifetime: float, renew_at: float, names: Mapping[str, str] = SETTING_NAMES
    ) -> SettingsError | None:
        """Return the error if consumers may present an expired token, None if the guarantee holds.

        The advice has the nearest settings that work; ``names`` are their names.
        """
        least = self.guaranteed_lifetime(lifetime, renew_at)
        if least >= self.consumer_cache - ROUNDING_SECONDS:
            return None
        token = f"a token of {describe_seconds(round(lifetime, -1) or lifetime)}"
        renewed = f"{token} renewed at {renew_at:g} of its lifetime"
        interval = describe_seconds(self.schedule_interval)
        window = lifetime * (1 - renew_at)
        if lifetime <= self.schedule_interval:
            problem = f"{token} expires before the next run, which starts every {interval}"
        elif window <= self.schedule_interval:
            leaves = f"leaves {describe_seconds(window)} for the renewal"
            problem = f"{renewed} {leaves}, but a run starts only every {interval}"
        else:
            guarantees = f"guarantees consumers a remaining lifetime of {math.floor(least)} s"
            cached = f"but they cache it for {self.consumer_cache:.0f} s"
            problem = f"{renewed}, with a run every {interval}, {guarantees}, {cached}"
        if window <= self.schedule_interval:
            problem += ": consumers have no guaranteed remaining lifetime"
        return SettingsError(problem, advice=self._advice(lifetime, renew_at, names))

    def _advice(self, lifetime: float, renew_at: float, names: Mapping[str, str]) -> str:
        """Return each setting that restores the guarantee alone, or else the lifetime that would."""
        needed = self.consumer_cache + self.schedule_interval + self.run_budget
        latest = 1 - needed / lifetime
        slowest = lifetime * (1 - renew_at) - self.consumer_cache - self.run_budget
        least = self.guaranteed_lifetime(lifetime, renew_at)
        ways = []
        if latest >= 0.1:  # the lowest renew_at that the settings accept
            ways.append(f"set {names['renew_at']} to {math.floor(latest * 100) / 100:g} or less")
        if slowest >= 60:  # the shortest interval of EventBridge Scheduler
            often = f"run every {slowest // 60:.0f}m or more often"
            ways.append(f"{often} and set {names['schedule_interval']} to this interval")
        if least >= 0:
            ways.append(f"let consumers cache for at most {math.floor(least)} s ({names['consumer_cache']})")
        if not ways:
            minutes = math.ceil(needed / (1 - renew_at) / 60)
            ways.append(f"request tokens with a lifetime of {minutes}m or more")
        return ", or ".join(ways)

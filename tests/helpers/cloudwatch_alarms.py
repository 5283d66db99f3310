"""CloudWatch's alarms, as documented: statistics of periods, M out of N, and what missing data means.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

EXTRA_PERIODS = 2
"""How many periods before the evaluated ones CloudWatch looks at, too. It does not say exactly."""

_STATISTICS: Mapping[str, Callable[[list[float]], float]] = {"Minimum": min, "Maximum": max, "Sum": sum}
_COMPARISONS = {
    "LessThanThreshold": operator.lt,
    "GreaterThanOrEqualToThreshold": operator.ge,
}


@dataclass(frozen=True)
class Sample:
    """One value of a metric, and when it came in seconds of any clock."""

    time: float
    value: float


@dataclass(frozen=True)
class Alarm:
    """An alarm with the properties that it has in the template."""

    properties: Mapping[str, Any]

    def state(self, samples: Iterable[Sample], now: float, before: str = "INSUFFICIENT_DATA") -> str:
        """The state that the alarm reaches now, after another state."""
        needed = self.properties["EvaluationPeriods"]
        real = [each for each in self._periods(samples, now) if each is not None][:needed]
        missing = needed - len(real)
        treat = self.properties["TreatMissingData"]
        if missing and treat == "ignore":
            return before
        breaching = sum(map(self._is_breaching, real)) + (missing if treat == "breaching" else 0)
        return "ALARM" if breaching >= self.properties.get("DatapointsToAlarm", needed) else "OK"

    def _periods(self, samples: Iterable[Sample], now: float) -> list[float | None]:
        """The statistic of each whole period in the evaluation range, the newest first; None: no data."""
        period = self.properties["Period"]
        end = now // period
        found: dict[int, list[float]] = {}
        for sample in samples:
            found.setdefault(int(end - 1 - sample.time // period), []).append(sample.value)
        statistic = _STATISTICS[self.properties["Statistic"]]
        ages = range(self.properties["EvaluationPeriods"] + EXTRA_PERIODS)
        return [statistic(found[age]) if age in found else None for age in ages]

    def _is_breaching(self, value: float) -> bool:
        compare = _COMPARISONS[self.properties["ComparisonOperator"]]
        return bool(compare(value, float(self.properties["Threshold"])))

"""The metrics that CloudWatch reads from what a run printed.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from __future__ import annotations

import json
from dataclasses import dataclass


@dataclass(frozen=True)
class Told:
    """One line: dimensions, and by name each metric's value and unit."""

    dimensions: dict[str, str]
    metrics: dict[str, float]
    units: dict[str, str]


def read(printed: str) -> list[Told]:
    """All lines of metrics, each of one directive with one set of dimensions and one value a metric."""
    return [_read(line) for line in printed.splitlines() if '"_aws"' in line]


def _read(text: str) -> Told:
    line = json.loads(text)
    (told,) = line["_aws"]["CloudWatchMetrics"]
    assert told["Namespace"] == "Rotator"
    (dimensions,) = told["Dimensions"]
    values = {metric["Name"]: line[metric["Name"]] for metric in told["Metrics"]}
    assert {len(value) for value in values.values()} == {1}
    return Told(
        dimensions={name: line[name] for name in dimensions},
        metrics={name: value[0] for name, value in values.items()},
        units={metric["Name"]: metric["Unit"] for metric in told["Metrics"]},
    )

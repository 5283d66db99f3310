"""The metrics that CloudWatch reads from what a run printed.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from __future__ import annotations

import json
from dataclasses import dataclass


@dataclass(frozen=True)
class Emitted:
    """One line: dimensions, and by name each metric's value and unit."""

    dimensions: dict[str, str]
    metrics: dict[str, float]
    units: dict[str, str]


def read(printed: str) -> list[Emitted]:
    """All lines of metrics, each of one directive with one set of dimensions and one value a metric."""
    return [_read(line) for line in printed.splitlines() if '"_aws"' in line]


def _read(text: str) -> Emitted:
    line = json.loads(text)
    (reported,) = line["_aws"]["CloudWatchMetrics"]
    assert reported["Namespace"] == "Rotator"
    (dimensions,) = reported["Dimensions"]
    values = {metric["Name"]: line[metric["Name"]] for metric in reported["Metrics"]}
    assert {len(value) for value in values.values()} == {1}
    return Emitted(
        dimensions={name: line[name] for name in dimensions},
        metrics={name: value[0] for name, value in values.items()},
        units={metric["Name"]: metric["Unit"] for metric in reported["Metrics"]},
    )

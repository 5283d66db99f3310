"""The metrics of a run, in CloudWatch's embedded metric format. Never a value that is secret."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime

from rotator.oauth.models import Stage
from rotator.observability.counters import Counts
from rotator.renewal.durations import seconds_until
from rotator.renewal.models import Outcome, Result, Summary

NAMESPACE = "Rotator"
"""Of the metrics in CloudWatch."""

MAX_ROTATION_METRICS = 10
"""So many at the most have a metric of their own: each costs $0.30 a month."""

_UNITS = {"TokenSecondsRemaining": "Seconds", "Duration": "Milliseconds"}
"""Of the metrics that are not counts."""


def record_metrics(summary: Summary, now: datetime, *, service: str, duration: float, counts: Counts) -> None:
    """Print the run's metrics in CloudWatch's embedded format, which costs no call to AWS.

    ``service`` is their dimension, ``duration`` the run's in seconds. ``TokenSecondsRemaining`` is the least
    life of any stored token: 0 where there is none, and no value where no run can tell, so that an alarm
    should take missing values for bad. A run that left rotations out has no such value either: it would
    hide a dying token among those. Where there are a few rotations, there is one more for each, by name.

    A dry run tells nothing.
    """
    if summary.dry_run:
        return
    lives = {r.name: life for r in summary.results if (life := _remaining_lifetime(r, now)) is not None}
    metrics = {**_counts(summary, counts), "Duration": round(1000 * duration)}
    if lives and not summary.other_rotations:
        metrics["TokenSecondsRemaining"] = min(lives.values())
    _print_metrics(metrics, service=service)
    if 1 < len(summary.results) + summary.other_rotations <= MAX_ROTATION_METRICS:
        for name, life in lives.items():
            _print_metrics({"TokenSecondsRemaining": life}, service=service, rotation=name)


def _counts(summary: Summary, counts: Counts) -> dict[str, float]:
    """Outcomes, and what does not happen in most runs: kinds of errors, rollovers, and what was used.

    A metric costs money for each hour in which it is sent, so the latter are never sent as zeros.
    """
    outcomes = Counter(result.outcome for result in summary.results)
    rare = Counter(result.error_kind for result in summary.results if result.error_kind)
    rotated = Counter(r.secret_stage for r in summary.results if r.outcome is Outcome.ROTATED)
    rare["RotatedWithPending"] = rotated[Stage.PENDING]
    rare["RotatedWithPrevious"] = rotated[Stage.PREVIOUS]
    rare["TokenRequests"] = counts.token_requests
    rare["TokenRequestAttempts"] = counts.token_request_attempts
    rare["ThrottledWrites"] = counts.throttled_writes
    return {
        **{o.value.capitalize(): outcomes[o] for o in (Outcome.ROTATED, Outcome.KEPT, Outcome.BUSY)},
        "FailedEarly": outcomes[Outcome.FAILED] - summary.failed_late,
        "FailedLate": summary.failed_late,
        **+rare,  # a Counter's own way to leave out zeros
    }


def _print_metrics(metrics: Mapping[str, float], **dimensions: str) -> None:
    """Print one line of metrics under the same dimensions."""
    from aws_lambda_powertools.metrics import EphemeralMetrics

    line = EphemeralMetrics(namespace=NAMESPACE)
    for name, value in dimensions.items():
        line.add_dimension(name, value)
    for name, amount in metrics.items():
        line.add_metric(name, _UNITS.get(name, "Count"), amount)
    line.flush_metrics()


def _remaining_lifetime(result: Result, now: datetime) -> float | None:
    if result.expires_at:
        return max(0.0, seconds_until(result.expires_at, now))
    return result.seconds_remaining

"""The metrics of a run, in CloudWatch's embedded metric format. They never contain secret values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from threading import Lock

from rotator.oauth.models import Stage
from rotator.renewal.durations import seconds_until
from rotator.renewal.models import Outcome, Result, Summary

NAMESPACE = "Rotator"
"""The namespace of the metrics in CloudWatch."""

MAX_ROTATION_METRICS = 10
"""With more rotations, no rotation has a metric of its own: each metric costs $0.30 a month."""

_UNITS = {"TokenSecondsRemaining": "Seconds", "Duration": "Milliseconds"}
"""The units of the metrics that are not counts."""


def record_metrics(
    summary: Summary, now: datetime, *, service: str, duration: float, counts: Mapping[str, int]
) -> None:
    """Print the run's metrics in CloudWatch's embedded metric format, which needs no call to AWS.

    ``TokenSecondsRemaining`` is the shortest remaining lifetime of any stored token: 0 if a token is missing,
    and absent if no lifetime is known, so an alarm should treat missing data as breaching. A run that did not
    serve all rotations omits it, because another token may expire sooner. A dry run has no metrics.

    ``service`` is the dimension of the metrics. The duration is in seconds, and ``counts`` are by metric.
    """
    if summary.dry_run:
        return
    known = {r.name: s for r in summary.results if (s := _remaining_lifetime(r, now)) is not None}
    metrics = {**_counts(summary, counts), "Duration": round(1000 * duration)}
    if known and summary.other_rotations == 0:
        metrics["TokenSecondsRemaining"] = min(known.values())
    _print_metrics(metrics, service=service)
    others = summary.other_rotations
    if others is not None and 1 < len(summary.results) + others <= MAX_ROTATION_METRICS:
        for name, seconds in known.items():
            _print_metrics({"TokenSecondsRemaining": seconds}, service=service, rotation=name)


def _counts(summary: Summary, counts: Mapping[str, int]) -> dict[str, float]:
    """Return the counts of outcomes, and those of rare events: kinds of errors, rollovers, requests.

    A metric costs money for each hour in which it is sent, so counts of rare events are never sent as zeros.
    """
    outcomes = Counter(result.outcome for result in summary.results)
    rare = Counter(counts)
    rare.update(result.error_kind for result in summary.results if result.error_kind)
    rotated = Counter(r.secret_stage for r in summary.results if r.outcome is Outcome.ROTATED)
    rare["RotatedWithPending"] = rotated[Stage.PENDING]
    rare["RotatedWithPrevious"] = rotated[Stage.PREVIOUS]
    rare["ReplicasBehind"] = sum(len(result.replicas_behind) for result in summary.results)
    return {
        **{o.value.capitalize(): outcomes[o] for o in (Outcome.ROTATED, Outcome.KEPT, Outcome.BUSY)},
        "FailedEarly": outcomes[Outcome.FAILED] - summary.failed_late,
        "FailedLate": summary.failed_late,
        **+rare,  # unary plus removes the zeros of a Counter
    }


def _print_metrics(metrics: Mapping[str, float], **dimensions: str) -> None:
    """Print one line of metrics with the same dimensions."""
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


class Counters:
    """Counts of a run by metric: adapters increment them, several threads at a time; metrics report them."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._counts: Counter[str] = Counter()

    def add(
        self, *, token_requests: int = 0, token_request_attempts: int = 0, throttled_writes: int = 0
    ) -> None:
        """Add to the counts, without probes of ``verify_url``.

        The attempts include the retries of token requests. Throttled writes are the answers of PutParameter
        that the rate was exceeded, including those after which a retry of the SDK succeeded.
        """
        with self._lock:
            self._counts["TokenRequests"] += token_requests
            self._counts["TokenRequestAttempts"] += token_request_attempts
            self._counts["ThrottledWrites"] += throttled_writes

    def take(self) -> Counter[str]:
        """Return the counts, and reset them to zero."""
        with self._lock:
            counts, self._counts = self._counts, Counter()
            return counts

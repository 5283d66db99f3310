"""What a run tells: one line an outcome, one for the summary, and its metrics. Never a value that is secret.

In Lambda the runtime has a handler and writes JSON, ``extra`` included; elsewhere, as on an
operator's terminal or an emulator, a plain handler on standard error is set up here.
"""

from __future__ import annotations

import json
import logging
import math
import sys
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from rotator.oauth.models import Stage
from rotator.observability.counters import Counts
from rotator.renewal.models import Outcome, Result, Summary, format_time
from rotator.renewal.policy import outlook, seconds_until

logger = logging.getLogger(__name__)

SUMMARY_WORDS = "run ended"
"""With these begins the line of a run's summary, by which `rotator doctor` finds it in a log."""

NAMESPACE = "Rotator"
"""Of the metrics in CloudWatch."""

MAX_ROTATION_METRICS = 10
"""So many at the most have a metric of their own: each costs $0.30 a month."""

MAX_LISTED_ROTATIONS = 100
"""Rotations in the log line of the whole, at the most; each that is not fresh has a line of its own, too."""

_UNITS = {"TokenSecondsRemaining": "Seconds", "Duration": "Milliseconds"}
"""Of the metrics that are not counts."""


def configure(level: str) -> None:
    """Set the level of our own loggers; the SDK's stay quiet at any level."""
    logging.getLogger("rotator").setLevel(level)
    if not logging.getLogger().handlers:
        logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(message)s")


def log_summary(summary: Summary, now: datetime) -> None:
    """Log every outcome, then the whole. Of many rotations, fresh ones are not worth a line each."""
    many = len(summary.results) > MAX_ROTATION_METRICS
    for result in summary.results:
        if many and result.outcome is Outcome.FRESH:
            continue
        _log_result(result, now)
    for warning in summary.warnings:
        logger.warning(warning, extra={"event": "warning"})
    brief = _brief(summary) if many else summary.to_dict()
    logger.log(
        _level(failed=summary.failed, late=summary.failed_late > 0),
        "%s: %s",
        SUMMARY_WORDS,
        json.dumps(brief),  # for logs in plain text, which have no fields
        extra={"event": "summary", "summary": brief},
    )


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


def _log_result(result: Result, now: datetime) -> None:
    until = f", good until {format_time(result.expires_at)}" if result.expires_at else ""
    reason = f"{result.error}; {outlook(result)}" if result.error else result.note
    logger.log(
        _level(failed=result.outcome is Outcome.FAILED, late=bool(result.error) and result.late),
        "rotation %s: %s%s%s",
        result.name,
        result.outcome.value,
        until,
        f" ({reason})" if reason else "",
        extra=_fields(result, now),
    )


def _fields(result: Result, now: datetime) -> dict[str, object]:
    """The outcome for programs: JSON's own types, and only what there is to tell.

    ``seconds_remaining`` is what the stored token has left, negative if it has ended.
    """
    remaining = result.seconds_remaining
    if remaining is None and result.expires_at:
        remaining = math.floor(seconds_until(result.expires_at, now))
    fields: dict[str, object] = {
        "event": "outcome",
        "rotation": result.name,
        "outcome": result.outcome.value,
        "reason": result.error or result.note,
        "error_kind": result.error_kind,
        "late": result.late if result.outcome in (Outcome.FAILED, Outcome.KEPT) else None,
        "expires_at": format_time(result.expires_at) if result.expires_at else None,
        "seconds_remaining": remaining,
        "next_try": format_time(result.next_try) if result.next_try else None,
        "secret_stage": result.secret_stage.value if result.secret_stage is not Stage.CURRENT else None,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _brief(summary: Summary) -> dict[str, Any]:
    """The summary without the fresh, and of the others no more than fit into a line that CloudWatch keeps."""
    told = summary.to_dict()
    listed = [result for result in told["rotations"] if result["outcome"] != Outcome.FRESH]
    listed.sort(key=lambda result: result["outcome"] != Outcome.FAILED)
    not_listed = len(told["rotations"]) - len(listed[:MAX_LISTED_ROTATIONS])
    return {**told, "rotations": listed[:MAX_LISTED_ROTATIONS], "not_listed": not_listed}


def _level(*, failed: bool, late: bool) -> int:
    """A failure is an error once it is late; while there is time, it is a warning."""
    if late:
        return logging.ERROR
    return logging.WARNING if failed else logging.INFO

"""What a run tells: one line an outcome, one for the summary, one of metrics. Never a value that is secret.

In Lambda the runtime has a handler and writes JSON, ``extra`` included; elsewhere, as on an
operator's terminal or an emulator, a plain handler on standard error is set up here.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import datetime

from rotator.model import Outcome, Result, Summary, format_time
from rotator.policy import outlook, seconds_until

logger = logging.getLogger(__name__)

NAMESPACE = "Rotator"
"""Of the metrics in CloudWatch."""


def configure(level: str) -> None:
    """Set the level of our own loggers; the SDK's stay quiet at any level."""
    logging.getLogger("rotator").setLevel(level)
    if not logging.getLogger().handlers:
        logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(message)s")


def log_summary(summary: Summary) -> None:
    """Log every outcome, then the whole."""
    for result in summary.results:
        _log_result(result)
    for warning in summary.warnings:
        logger.warning(warning, extra={"event": "warning"})
    logger.log(
        _level(failed=summary.failed, late=summary.failed_late > 0),
        "run ended: %s",
        json.dumps(summary.to_dict()),
        extra={"event": "summary"},
    )


def record_metrics(summary: Summary, now: datetime) -> None:
    """Print the run's metrics in CloudWatch's embedded format, which costs no call to AWS.

    ``TokenSecondsRemaining`` is the least life of any stored token: 0 where there is none, and no value
    where no run can tell, so that an alarm should take missing values for bad. A dry run tells nothing.
    """
    if summary.dry_run:
        return
    from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

    metrics = EphemeralMetrics(namespace=NAMESPACE, service="rotator")
    outcomes = [result.outcome for result in summary.results]
    for outcome in (Outcome.ROTATED, Outcome.KEPT, Outcome.BUSY):
        metrics.add_metric(outcome.value.capitalize(), MetricUnit.Count, outcomes.count(outcome))
    early = outcomes.count(Outcome.FAILED) - summary.failed_late
    metrics.add_metric("FailedEarly", MetricUnit.Count, early)
    metrics.add_metric("FailedLate", MetricUnit.Count, summary.failed_late)
    lives = [life for result in summary.results if (life := _life(result, now)) is not None]
    if lives:
        metrics.add_metric("TokenSecondsRemaining", MetricUnit.Seconds, min(lives))
    metrics.flush_metrics()


def _life(result: Result, now: datetime) -> float | None:
    if result.expires_at:
        return max(0.0, seconds_until(result.expires_at, now))
    return result.seconds_remaining


def _log_result(result: Result) -> None:
    until = f", good until {format_time(result.expires_at)}" if result.expires_at else ""
    reason = f"{result.error}; {outlook(result)}" if result.error else result.note
    logger.log(
        _level(failed=result.outcome is Outcome.FAILED, late=bool(result.error) and result.late),
        "rotation %s: %s%s%s",
        result.name,
        result.outcome.value,
        until,
        f" ({reason})" if reason else "",
        extra={"event": "outcome", "rotation": result.name, "outcome": result.outcome.value},
    )


def _level(*, failed: bool, late: bool) -> int:
    """A failure is an error once it is late; while there is time, it is a warning."""
    if late:
        return logging.ERROR
    return logging.WARNING if failed else logging.INFO

"""The log of a run: a line for each result, and one for the summary. It never contains secret values.

In Lambda, the runtime has a handler that writes JSON, including the fields in ``extra``. Elsewhere, such as
in an operator's terminal or an emulator, ``configure`` adds a plain handler on standard error.
"""

from __future__ import annotations

import json
import logging
import math
import sys
from datetime import datetime
from typing import Any

from rotator.oauth.models import Stage
from rotator.observability.metrics import MAX_ROTATION_METRICS
from rotator.renewal.durations import format_time, seconds_until
from rotator.renewal.models import Outcome, Result, Summary
from rotator.renewal.policy import outlook

logger = logging.getLogger(__name__)

SUMMARY_WORDS = "run ended"
"""The beginning of the summary's line, by which `rotator doctor` finds the line in a log."""

MAX_LISTED_ROTATIONS = 100
"""In the summary's line. Each rotation that is not fresh also has a line of its own."""


def configure(level: str) -> None:
    """Set the level of the rotator's loggers; the level of the SDK's loggers stays the same."""
    logging.getLogger("rotator").setLevel(level)
    if not logging.getLogger().handlers:
        logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(message)s")


def log_summary(summary: Summary, now: datetime) -> None:
    """Log every result, then the summary. With more than ten rotations, omit fresh ones."""
    is_large = len(summary.results) > MAX_ROTATION_METRICS
    for result in summary.results:
        if not (is_large and result.outcome is Outcome.FRESH):
            _log_result(result, now)
    for warning in summary.warnings:
        logger.warning(warning, extra={"event": "warning"})
    brief = _brief(summary) if is_large else summary.to_dict()
    logger.log(
        _level(failed=summary.failed, late=summary.failed_late > 0),
        "%s: %s",
        SUMMARY_WORDS,
        json.dumps(brief),  # for logs in plain text, which have no fields
        extra={"event": "summary", "summary": brief},
    )


def _log_result(result: Result, now: datetime) -> None:
    until = f", valid until {format_time(result.expires_at)}" if result.expires_at else ""
    reason = f"{result.error}; {outlook(result)}" if result.error else result.reason
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
    """Return the fields of a result's line, without empty ones.

    ``seconds_remaining`` is the remaining lifetime of the stored token, negative if it has expired.
    """
    remaining = result.seconds_remaining
    if remaining is None and result.expires_at:
        remaining = math.floor(seconds_until(result.expires_at, now))
    fields: dict[str, object] = {
        "event": "outcome",
        "rotation": result.name,
        "outcome": result.outcome.value,
        "reason": result.error or result.reason,
        "error_kind": result.error_kind,
        "late": result.late if result.outcome in (Outcome.FAILED, Outcome.KEPT) else None,
        "expires_at": format_time(result.expires_at) if result.expires_at else None,
        "seconds_remaining": remaining,
        "next_try": format_time(result.next_try) if result.next_try else None,
        "secret_stage": result.secret_stage.value if result.secret_stage is not Stage.CURRENT else None,
        "replicas_behind": list(result.replicas_behind) or None,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _brief(summary: Summary) -> dict[str, Any]:
    """Return the summary without fresh rotations; it lists as many others as fit into one line of a log."""
    fields = summary.to_dict()
    listed = [result for result in fields["rotations"] if result["outcome"] != Outcome.FRESH]
    listed.sort(key=lambda result: result["outcome"] != Outcome.FAILED)
    not_listed = len(fields["rotations"]) - len(listed[:MAX_LISTED_ROTATIONS])
    return {**fields, "rotations": listed[:MAX_LISTED_ROTATIONS], "not_listed": not_listed}


def _level(*, failed: bool, late: bool) -> int:
    """Return ERROR for a late failure, WARNING for another failure, and else INFO."""
    if late:
        return logging.ERROR
    return logging.WARNING if failed else logging.INFO

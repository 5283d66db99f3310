"""What a run tells: one line an outcome, one for the summary. Never a value that is secret.

In Lambda the runtime has a handler and writes JSON, ``extra`` included; elsewhere, as on an
operator's terminal or an emulator, a plain handler on standard error is set up here.
"""

from __future__ import annotations

import json
import logging
import sys

from rotator.model import Outcome, Result, Summary, format_time
from rotator.policy import outlook

logger = logging.getLogger(__name__)


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
        logger.warning(warning, extra={"event": "short_overlap"})
    logger.log(
        _level(failed=summary.failed, late=summary.failed_late > 0),
        "run ended: %s",
        json.dumps(summary.to_dict()),
        extra={"event": "summary"},
    )


def _log_result(result: Result) -> None:
    until = f", good until {format_time(result.expires_at)}" if result.expires_at else ""
    reason = f"{result.error}; {outlook(result)}" if result.error else result.note
    logger.log(
        _level(failed=result.outcome is Outcome.FAILED, late=result.late),
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

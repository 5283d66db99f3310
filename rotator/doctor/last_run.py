"""The check of the last run, whose summary is in the function's log."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import timedelta
from typing import Any

from rotator.config.deployment import LogEvent, Stack
from rotator.config.environment import Settings
from rotator.doctor.check import ROTATE, Check, NotChecked, State
from rotator.doctor.context import Instruments
from rotator.errors import RotatorError
from rotator.observability.logs import SUMMARY_WORDS
from rotator.renewal.durations import describe_seconds, seconds_until
from rotator.renewal.results import MAX_NAMED_FAILURES


def check_last_run(stack: Stack | None, schedule: Check, settings: Settings, tools: Instruments) -> str:
    """Return the outcomes of the last run; raises RotatorError if there was none or a rotation failed."""
    if stack is None or "LogGroupName" not in stack.outputs:
        raise NotChecked("the stack has no output LogGroupName, or no stack was found")
    now, log = tools.now(), stack.outputs["LogGroupName"]
    longest = 3 * settings.schedule_interval  # one run may be missed, and logs arrive late
    event = tools.inspector.last_event(log, SUMMARY_WORDS, now - timedelta(seconds=longest))
    # AWS returns the same code if a policy does not allow an action and if a boundary denies it.
    boundary = stack.parameters.get("PermissionsBoundaryArn")
    hint = f"; add a denied permission to the permissions boundary {boundary}, too" if boundary else ""
    if event:
        return _judge(event, f"{describe_seconds(seconds_until(now, event.at))} ago", hint)
    if schedule.state is not State.OK:
        raise NotChecked('no recent run; see the check "schedule"')
    if settings.log_level in ("WARNING", "ERROR"):
        raise NotChecked(f"at the log level {settings.log_level}, only failed runs are logged")
    advice = f"check the schedule, then the log {log}{hint}"
    raise RotatorError(f"no run in the last {describe_seconds(longest)}", advice=advice)


def _judge(event: LogEvent, when: str, hint: str) -> str:
    """Return the outcomes in a run's summary; raises RotatorError if a rotation failed."""
    summary = _summary(event.message)
    if summary is None:
        raise NotChecked(f"the summary of the run {when} cannot be read")
    failed = [each for each in summary["rotations"] if each.get("error")]
    if failed:
        total = len(summary["rotations"]) + int(summary.get("not_listed", 0))
        count = int(summary.get("failed", len(failed)))
        errors = [f"{each['name']}: {each['error']}" for each in failed[:MAX_NAMED_FAILURES]]
        if count > len(errors):
            errors.append(f"and {count - len(errors)} more")
        raise RotatorError(
            f"{when}, {count} of {total} rotations failed: " + " | ".join(errors),
            advice=f"fix the cause, then run {ROTATE}{hint}",
        )
    counts = {word: summary.get(word) for word in ("rotated", "fresh", "kept", "busy")}
    return f"{when}: " + ", ".join(f"{count} {word}" for word, count in counts.items() if count)


def _summary(message: str) -> dict[str, Any] | None:
    """Return the summary in a log line, None if the line holds no readable summary.

    Lambda writes JSON, with the summary as a field. An emulator writes plain text that ends with the summary.
    """
    with suppress(ValueError, TypeError, KeyError):
        fields = json.loads(message[message.index("{") :])
        summary = fields["summary"] if message.startswith("{") else fields
        if all(isinstance(each, dict) for each in summary["rotations"]):
            return dict(summary)
    return None

"""The checks of the deployment: schedule, workers, alarms and the last run."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from rotator.config.deployment import LogEvent, Schedule, Stack
from rotator.doctor.alarms import CHECK as ALARMS
from rotator.doctor.alarms import check_alarms
from rotator.doctor.check import REPLACE, ROTATE, Check, NotChecked, State, carry_out
from rotator.doctor.context import Instruments, Options, Subject
from rotator.doctor.workers import CHECK as WORKERS
from rotator.doctor.workers import check_workers, has_workers
from rotator.errors import RotatorError
from rotator.observability.logs import SUMMARY_WORDS
from rotator.renewal.durations import describe_seconds, seconds_until
from rotator.renewal.results import MAX_NAMED_FAILURES

CHECKS = ("schedule", ALARMS, "last run")
"""The names of the checks, in their order."""

INTERVALS_SINCE_LAST_RUN = 3
"""The schedule intervals within which a run is expected: one may be missed, and logs arrive late."""

DEFAULT_GROUP = "default"
"""The schedule group of a stack of version 0.1, which created none."""

_RATE = re.compile(r"rate\((\d+) (minute|hour|day)s?\)")
_UNITS = {"minute": 60, "hour": 3600, "day": 86400}


@dataclass
class StackChecks:
    """The checks of the deployment, and the stack that they examine."""

    subject: Subject
    tools: Instruments
    options: Options
    stack: Stack | None = None

    def all(self, identity: Check, timed: Sequence[Check]) -> Iterator[Check]:
        """Yield every check in the order of ``CHECKS``, and the check of workers if the stack has workers.

        Args:
            identity: The check of the caller's identity.
            timed: The checks on which every check of a time depends.
        """
        schedule = carry_out("schedule", self._schedule, needs=(identity,))
        yield schedule
        outputs = self.stack.outputs if self.stack else {}
        if has_workers(outputs):
            yield carry_out(WORKERS, lambda: check_workers(outputs, self.tools.inspector))
        yield carry_out(ALARMS, self._alarms, needs=(identity,))
        yield carry_out("last run", lambda: self._last_run(schedule), needs=timed)

    def _schedule(self) -> str:
        self.stack = self._find_stack()
        outputs = self.stack.outputs
        if "ScheduleName" not in outputs:
            raise RotatorError(
                f"the stack {self.stack.name} has no schedule",
                advice="name a stack of infra/template.yaml with --stack",
            )
        name = outputs["ScheduleName"]
        schedule = self.tools.inspector.schedule(name, outputs.get("ScheduleGroupName", DEFAULT_GROUP))
        if schedule is None:
            raise RotatorError(f"the schedule {name} does not exist", advice=REPLACE)
        if not schedule.enabled:
            raise RotatorError(
                f"the schedule {name} is disabled", advice="deploy the stack with ScheduleState=ENABLED"
            )
        function = outputs.get("FunctionName", "")
        if schedule.target.partition(":function:")[2] != function:
            raise RotatorError(
                f"the schedule does not invoke the stack's function {function}", advice=REPLACE
            )
        self._check_rate(schedule)
        return f"{name} of the stack {self.stack.name} is enabled, {schedule.expression}"

    def _find_stack(self) -> Stack:
        if self.options.stack:
            stack = self.tools.inspector.stack(self.options.stack)
            if stack is None:
                raise RotatorError(
                    f"there is no stack {self.options.stack}",
                    advice="check the name, the account and the Region",
                )
            return stack
        if self.subject.rotations_path:
            output, value = "RotationsPath", self.subject.rotations_path
        else:
            output, value = "ParameterName", self.subject.fleet.rotations[0].parameter_name
        stacks = [
            stack
            for stack in self.tools.inspector.stacks()
            if stack.outputs.get(output) == value and "ScheduleName" in stack.outputs
        ]
        if not stacks:
            raise NotChecked(f"no stack has the output {output}={value}; name the stack with --stack")
        if len(stacks) > 1:
            raise RotatorError(
                f"several stacks have the output {output}={value}: "
                + ", ".join(stack.name for stack in stacks),
                advice="name one with --stack, and undeploy the others: two stacks must not renew one token",
            )
        return stacks[0]

    def _check_rate(self, schedule: Schedule) -> None:
        """Raise RotatorError if the schedule's rate is not the one of the guarantee; cron is not compared."""
        rate, interval = _RATE.fullmatch(schedule.expression), self.subject.guarantee.schedule_interval
        if rate and int(rate[1]) * _UNITS[rate[2]] != interval:
            raise RotatorError(
                f"the schedule is {schedule.expression}, but ROTATOR_SCHEDULE_INTERVAL is "
                f"{describe_seconds(interval)}",
                advice="set ROTATOR_SCHEDULE_INTERVAL to the schedule's interval, or deploy with another "
                "ScheduleMinutes",
            )

    def _alarms(self) -> str:
        if self.stack is None:
            raise NotChecked('no stack was found; see the check "schedule"')
        return check_alarms(self.stack.outputs, self.tools.inspector)

    def _last_run(self, schedule: Check) -> str:
        if self.stack is None or "LogGroupName" not in self.stack.outputs:
            raise NotChecked("the stack has no output LogGroupName, or no stack was found")
        now = self.tools.now()
        longest = INTERVALS_SINCE_LAST_RUN * self.subject.guarantee.schedule_interval
        since = now - timedelta(seconds=longest)
        log = self.stack.outputs["LogGroupName"]
        event = self.tools.inspector.last_event(log, SUMMARY_WORDS, since)
        if event is None:
            self._explain_silence(schedule)
            raise RotatorError(
                f"no run in the last {describe_seconds(longest)}",
                advice=f"check the schedule, then the log {log}{_boundary(self.stack)}",
            )
        return _judge(event, f"{describe_seconds(seconds_until(now, event.at))} ago", self.stack)

    def _explain_silence(self, schedule: Check) -> None:
        if schedule.state is not State.OK:
            raise NotChecked('no recent run; see the check "schedule"')
        if self.subject.log_level in ("WARNING", "ERROR"):
            raise NotChecked(f"at the log level {self.subject.log_level}, only failed runs are logged")


def _boundary(stack: Stack) -> str:
    """Return a hint about the stack's permissions boundary for the end of an advice, or an empty text.

    AWS returns the same code if a policy does not allow an action and if a boundary denies it.
    """
    boundary = stack.parameters.get("PermissionsBoundaryArn")
    return f"; add a denied permission to the permissions boundary {boundary}, too" if boundary else ""


def _judge(event: LogEvent, when: str, stack: Stack) -> str:
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
            advice=f"fix the cause, then run {ROTATE}{_boundary(stack)}",
        )
    counts = {word: summary.get(word) for word in ("rotated", "fresh", "kept", "busy")}
    return f"{when}: " + ", ".join(f"{count} {word}" for word, count in counts.items() if count)


def _summary(message: str) -> dict[str, Any] | None:
    """Return the summary in a log line, None if the line holds no readable summary.

    Lambda writes JSON, with the summary as a field. An emulator writes plain text, with the summary at the
    end.
    """
    with suppress(ValueError, TypeError, KeyError):
        if message.startswith("{"):
            summary = json.loads(message)["summary"]
        else:
            summary = json.loads(message[message.index("{") :])
        if all(isinstance(each, dict) for each in summary["rotations"]):
            return dict(summary)
    return None

"""The checks of the deployment: the schedule, its workers, and the last run that it caused."""

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
"""Schedule intervals in which there must be a run: one may be missed, and the log arrives late."""

DEFAULT_GROUP = "default"
"""The group of the schedule of a stack that has none of its own, as version 0.1 made them."""

_RATE = re.compile(r"rate\((\d+) (minute|hour|day)s?\)")
_UNITS = {"minute": 60, "hour": 3600, "day": 86400}


@dataclass
class StackChecks:
    """The checks of the deployment, and the stack that was found for them."""

    subject: Subject
    tools: Instruments
    options: Options
    stack: Stack | None = None

    def all(self, identity: Check, timed: Sequence[Check]) -> Iterator[Check]:
        """Yield every check in the order of ``CHECKS``, and that of workers if the stack has them.

        Args:
            identity: The check that AWS knows the caller.
            timed: The checks that those of a time need.
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
                advice="name the stack of infra/template.yaml with --stack",
            )
        name = outputs["ScheduleName"]
        schedule = self.tools.inspector.schedule(name, outputs.get("ScheduleGroupName", DEFAULT_GROUP))
        if schedule is None:
            raise RotatorError(f"the schedule {name} does not exist", advice=REPLACE)
        if not schedule.enabled:
            raise RotatorError(
                f"the schedule {name} is disabled", advice="enable it: deploy with ScheduleState=ENABLED"
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
                    advice="check its name, the account and the Region",
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
            raise NotChecked(f"no stack has {value} as its {output}: name it with --stack")
        if len(stacks) > 1:
            raise RotatorError(
                f"several stacks keep {value}: {', '.join(stack.name for stack in stacks)}",
                advice="delete all but one, or name one with --stack",
            )
        return stacks[0]

    def _check_rate(self, schedule: Schedule) -> None:
        """Compare a rate with the one that the guarantee is computed with; cron is not compared."""
        rate, interval = _RATE.fullmatch(schedule.expression), self.subject.guarantee.schedule_interval
        if rate and int(rate[1]) * _UNITS[rate[2]] != interval:
            raise RotatorError(
                f"the schedule is {schedule.expression}, but ROTATOR_SCHEDULE_INTERVAL is "
                f"{describe_seconds(interval)}",
                advice="set it to the schedule's, or deploy with another ScheduleMinutes",
            )

    def _alarms(self) -> str:
        if self.stack is None:
            raise NotChecked("no stack was found: see the schedule")
        return check_alarms(self.stack.outputs, self.tools.inspector)

    def _last_run(self, schedule: Check) -> str:
        if self.stack is None or "LogGroupName" not in self.stack.outputs:
            raise NotChecked("no stack has a log group as its output")
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
            raise NotChecked("no recent run; see the schedule")
        if self.subject.log_level in ("WARNING", "ERROR"):
            raise NotChecked(f"with the log level {self.subject.log_level}, only failed runs are logged")


def _boundary(stack: Stack) -> str:
    """Return which permissions boundary the stack's roles have, as the end of an advice; empty for none.

    AWS answers with one code whether a policy does not allow an action or a boundary denies it.
    """
    boundary = stack.parameters.get("PermissionsBoundaryArn")
    return f"; a denied permission must be in the permissions boundary {boundary}, too" if boundary else ""


def _judge(event: LogEvent, when: str, stack: Stack) -> str:
    """Return the outcomes of the run in the event; raises RotatorError if a rotation failed."""
    summary = _summary(event.message)
    if summary is None:
        raise NotChecked(f"a run ended {when}, but its summary cannot be read")
    failed = [each for each in summary["rotations"] if each.get("error")]
    if failed:
        total = len(summary["rotations"]) + int(summary.get("not_listed", 0))
        count = int(summary.get("failed", len(failed)))
        errors = [f"{each['name']}: {each['error']}" for each in failed[:MAX_NAMED_FAILURES]]
        if count > len(errors):
            errors.append(f"and {count - len(errors)} more")
        raise RotatorError(
            f"{when}, {count} of {total} rotations failed: " + " | ".join(errors),
            advice=f"do what the error says, then {ROTATE}{_boundary(stack)}",
        )
    counts = {word: summary.get(word) for word in ("rotated", "fresh", "kept", "busy")}
    return f"{when}: " + ", ".join(f"{count} {word}" for word, count in counts.items() if count)


def _summary(message: str) -> dict[str, Any] | None:
    """Return the summary in a line of the log, None if there is none that can be read.

    Lambda's lines are JSON, with the summary as a field. A line of plain text, as an emulator writes, ends
    with the summary.
    """
    with suppress(ValueError, TypeError, KeyError):
        if message.startswith("{"):
            summary = json.loads(message)["summary"]
        else:
            summary = json.loads(message[message.index("{") :])
        if all(isinstance(each, dict) for each in summary["rotations"]):
            return dict(summary)
    return None

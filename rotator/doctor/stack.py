"""The checks of the deployment: schedule, workers, alarms and the last run."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rotator.config.deployment import Inspector, Schedule, Stack
from rotator.doctor.check import REPLACE, Check, NotChecked, carry_out
from rotator.doctor.context import Instruments, Subject
from rotator.doctor.last_run import check_last_run
from rotator.errors import RotatorError
from rotator.renewal.durations import describe_seconds

CHECKS = ("schedule", "alarms", "last run")
"""The names of the checks, in their order."""

RECEIVING = frozenset({"Enabled", "Enabling", "Creating", "Updating"})
"""The states in which an event source mapping receives messages, or soon will.

https://docs.aws.amazon.com/lambda/latest/api/API_EventSourceMappingConfiguration.html
"""

_RATE = re.compile(r"rate\((\d+) (minute|hour|day)s?\)")
_UNITS = {"minute": 60, "hour": 3600, "day": 86400}


@dataclass
class StackChecks:
    """The checks of the deployment, and the stack that they examine."""

    subject: Subject
    tools: Instruments
    stack: Stack | None = None

    def all(self, identity: Check, timed: Sequence[Check]) -> Iterator[Check]:
        """Yield every check in the order of ``CHECKS``, and the check of workers if the stack has workers."""
        inspector = self.tools.inspector
        schedule = carry_out("schedule", self._schedule, needs=(identity,))
        yield schedule
        if (stack := self.stack) and "WorkQueueUrl" in stack.outputs:
            yield carry_out("workers", lambda: _check_workers(stack.outputs, inspector))
        yield carry_out("alarms", lambda: _check_alarms(stack, inspector), needs=(identity,))
        settings, tools = self.subject.settings, self.tools
        yield carry_out("last run", lambda: check_last_run(stack, schedule, settings, tools), needs=timed)

    def _schedule(self) -> str:
        self.stack = self._find_stack()
        outputs = self.stack.outputs
        if "ScheduleName" not in outputs:
            advice = "name a stack of infra/template.yaml with --stack"
            raise RotatorError(f"the stack {self.stack.name} has no schedule", advice=advice)
        name = outputs["ScheduleName"]
        group = outputs.get("ScheduleGroupName", "default")  # a stack of version 0.1 created no group
        schedule = self.tools.inspector.schedule(name, group)
        if schedule is None:
            raise RotatorError(f"the schedule {name} does not exist", advice=REPLACE)
        if not schedule.enabled:
            advice = "deploy the stack with ScheduleState=ENABLED"
            raise RotatorError(f"the schedule {name} is disabled", advice=advice)
        function = outputs.get("FunctionName", "")
        if schedule.target.partition(":function:")[2] != function:
            problem = f"the schedule does not invoke the stack's function {function}"
            raise RotatorError(problem, advice=REPLACE)
        self._check_rate(schedule)
        return f"{name} of the stack {self.stack.name} is enabled, {schedule.expression}"

    def _find_stack(self) -> Stack:
        inspector, name = self.tools.inspector, self.subject.stack
        if name:
            if stack := inspector.stack(name):
                return stack
            advice = "check the name, the account and the Region"
            raise RotatorError(f"there is no stack {name}", advice=advice)
        if path := self.subject.settings.rotations_path:
            output, value = "RotationsPath", path
        else:
            output, value = "ParameterName", self.subject.fleet.rotations[0].parameter_name
        stacks = [
            stack
            for stack in inspector.stacks()
            if stack.outputs.get(output) == value and "ScheduleName" in stack.outputs
        ]
        if not stacks:
            raise NotChecked(f"no stack has the output {output}={value}; name the stack with --stack")
        if len(stacks) > 1:
            names = ", ".join(stack.name for stack in stacks)
            advice = "name one with --stack, and undeploy the others: two stacks must not renew one token"
            raise RotatorError(f"several stacks have the output {output}={value}: {names}", advice=advice)
        return stacks[0]

    def _check_rate(self, schedule: Schedule) -> None:
        """Raise RotatorError if the schedule's rate is not the one of the guarantee; cron is not compared."""
        rate, interval = _RATE.fullmatch(schedule.expression), self.subject.settings.schedule_interval
        if rate and int(rate[1]) * _UNITS[rate[2]] != interval:
            raise RotatorError(
                f"the schedule is {schedule.expression}, but ROTATOR_SCHEDULE_INTERVAL is "
                f"{describe_seconds(interval)}",
                advice="set ROTATOR_SCHEDULE_INTERVAL to the schedule's interval, or deploy with another "
                "ScheduleMinutes",
            )


def _check_workers(outputs: Mapping[str, str], inspector: Inspector) -> str:
    """Return the number of queued rotations and of dead-lettered messages."""
    queued = _messages(outputs["WorkQueueUrl"], inspector)
    dead_lettered = _messages(outputs["PoisonedQueueUrl"], inspector)
    mapping = inspector.event_source_mapping(outputs["FunctionName"], outputs["WorkQueueUrl"])
    if mapping is None:
        raise RotatorError(f"no worker receives the queued rotations: {queued} in the queue", advice=REPLACE)
    if mapping.state not in RECEIVING:
        raise RotatorError(
            f"the workers are disabled (their event source mapping is {mapping.state}); "
            f"queued rotations: {queued}",
            advice=f"enable them: aws lambda update-event-source-mapping --uuid {mapping.id} --enabled",
        )
    found = f"{mapping.maximum_concurrency or 'any number of'} workers; queued rotations: {queued}"
    if dead_lettered:
        found += f"; messages dead-lettered in the last four days: {dead_lettered}, see PoisonedQueueUrl"
    return found


def _messages(queue: str, inspector: Inspector) -> int:
    messages = inspector.messages(queue)
    if messages is None:
        raise RotatorError(f"the queue {queue.rpartition('/')[2]} does not exist", advice=REPLACE)
    return messages


def _check_alarms(stack: Stack | None, inspector: Inspector) -> str:
    """Return the number of confirmed subscriptions of the alarms' topic."""
    if stack is None:
        raise NotChecked('no stack was found; see the check "schedule"')
    topic = stack.outputs.get("AlarmTopicArn")
    if topic is None:  # it is optional: alarms can be read in CloudWatch
        raise NotChecked("alarms do not notify anyone: deploy with AlarmEmail or AlarmTopicArn")
    subscriptions = inspector.subscriptions(topic)
    confirmed = sum(subscriptions)
    if confirmed:
        pending = len(subscriptions) - confirmed
        return f"confirmed subscriptions: {confirmed}" + (f"; not confirmed: {pending}" if pending else "")
    subscribe = f"aws sns subscribe --topic-arn {topic} --protocol email --notification-endpoint ..."
    problem, advice = "their topic has no subscription", f"add one: {subscribe}"
    if subscriptions:
        problem = "no subscription of their topic is confirmed"
        advice = f"confirm the subscription in the mail from SNS, or request another mail: {subscribe}"
    raise RotatorError(f"alarms do not notify anyone: {problem}", advice=advice)

"""A patient in memory, in perfect health until something is broken, and the doctor's findings."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from email.utils import format_datetime
from typing import Any

from fake_ports import DAY, START, Clock, FakeInspector, FakePorts, ports, rotation, run
from rotator.config.deployment import EventSourceMapping, Key, LogEvent, Schedule, Stack
from rotator.config.environment import Settings
from rotator.config.registry import Fleet
from rotator.doctor.check import Check, State
from rotator.doctor.context import Instruments, Subject
from rotator.doctor.examination import examine, exit_code
from rotator.errors import RotatorError, SettingsError
from rotator.oauth.client_credentials import TokenResponse
from rotator.oauth.models import Secret
from rotator.renewal import status
from rotator.renewal.guarantee import Guarantee
from rotator.renewal.models import Rotation, Status
from rotator.replication.region_copies import Replica

CHECKS = [
    "settings",
    "guarantee",
    "AWS identity",
    "clock",
    "secret",
    "token endpoint",
    "credentials",
    "token",
    "size",
    "parameter",
    "key",
    "schedule",
    "alarms",
    "last run",
    "stored token",
]
AFTER_THE_SECRET = {"credentials", "token", "size"}
ON_THE_CLOCK = {"token", "size", "last run", "stored token"}

BROKEN = RotatorError("it is broken", advice="mend it")

LOG = "/rotator/rotator"
FUNCTION = "rotator-Function"
TOPIC = "arn:aws:sns:us-east-1:123456789012:on-call"
OUTPUTS = {
    "AlarmTopicArn": TOPIC,
    "ParameterName": "/healthwise/token",
    "ScheduleName": "run",
    "ScheduleGroupName": "schedules",
    "FunctionName": FUNCTION,
    "LogGroupName": LOG,
}
WORK, POISONED = "https://sqs/1/work", "https://sqs/1/poisoned"
WORKERS = {"WorkQueueUrl": WORK, "PoisonedQueueUrl": POISONED}
"""The additional outputs of a stack with workers."""
SCHEDULE = Schedule(
    enabled=True,
    expression="rate(5 minutes)",
    target=f"arn:aws:lambda:us-east-1:123456789012:function:{FUNCTION}",
)


def summary(*errors: str, name: str = "default", **counts: int) -> dict[str, Any]:
    """A run's summary: of one rotation that was fresh, or of those that failed so."""
    results = [{"name": name, "outcome": "failed", "error": error} for error in errors]
    fresh = {"name": name, "outcome": "fresh", "error": None}
    return {"fresh": 0 if errors else 1, "failed": len(errors), "rotations": results or [fresh], **counts}


def run_ended(reported: object, *, minutes_ago: float = 2) -> LogEvent:
    """The line of a run's summary as Lambda keeps it."""
    line = {"level": "INFO", "message": "run ended", "event": "summary", "summary": reported}
    return LogEvent(at=START - timedelta(minutes=minutes_ago), message=json.dumps(line))


@dataclass
class Findings:
    """The checks of one examination."""

    checks: list[Check]

    def __getitem__(self, name: str) -> Check:
        (check,) = [check for check in self.checks if check.name == name]
        return check

    def marked(self, state: State) -> set[str]:
        return {check.name for check in self.checks if check.state is state}

    @property
    def failed(self) -> set[str]:
        return self.marked(State.FAILED)

    @property
    def skipped(self) -> set[str]:
        return self.marked(State.SKIPPED)

    @property
    def code(self) -> int:
        return exit_code(self.checks)


@dataclass
class Patient:
    """Everything that an examination reads. ``date`` is the endpoint's ``Date`` header."""

    clock: Clock = field(default_factory=Clock)
    rotations: tuple[Rotation, ...] = (rotation(),)
    broken: tuple[tuple[str, SettingsError], ...] = ()
    guarantee: Guarantee = field(default_factory=Guarantee)
    token_lifetime: float | None = None
    path: str | None = None
    log_level: str = "INFO"
    reached: list[str] = field(default_factory=list)
    reach_status: int = 405
    date: str | None = format_datetime(START, usegmt=True)
    unreachable: RotatorError | None = None
    settings_error: RotatorError | None = None
    replicas: tuple[Replica, ...] = ()

    def __post_init__(self) -> None:
        self.ports: FakePorts = ports(self.clock)
        self.inspector = FakeInspector(self.clock)
        self.inspector.all_stacks = [Stack(name="other", outputs={}), Stack(name="rotator", outputs=OUTPUTS)]
        self.inspector.schedules = {("schedules", "run"): SCHEDULE}
        self.inspector.topics = {TOPIC: [True]}
        self.inspector.logs = {LOG: [run_ended(summary())]}

    def store(self, each: Rotation | None = None, *, hours_old: float = 1, lifetime: float = DAY) -> Patient:
        """Store a token and its status, as a run that long ago left them."""
        each = each or self.rotations[0]
        version = self.ports.parameters.write_token(each, Secret("stored"))
        issued_at = self.clock.now() - timedelta(hours=hours_old)
        left = Status(
            parameter_version=version,
            issued_at=issued_at,
            expires_at=issued_at + timedelta(seconds=lifetime),
            renew_at=issued_at + timedelta(seconds=lifetime / 1.5),
            scope="*",
            token_sha256="0" * 16,
            secret_version_id="secret-v1",
            rotator_version="0",
        )
        self.ports.parameters.write_status(each, status.dump(left))
        self.ports.parameters.writes.clear()
        return self

    def set(self, **changes: Any) -> Patient:
        """Change the only rotation."""
        self.rotations = (replace(self.rotations[0], **changes),)
        return self

    def reach(self, url: str, ca_parameter_name: str | None = None) -> TokenResponse | RotatorError:
        self.reached.append(f"{url} trusting {ca_parameter_name}" if ca_parameter_name else url)
        if self.unreachable:
            return self.unreachable
        return TokenResponse(
            status=self.reach_status, body=b"", requested_at=self.clock.now(), date=self.date
        )

    def examine(self, **options: Any) -> Findings:
        tools = Instruments(
            inspector=self.inspector,
            reach=self.reach,
            begin_run=lambda: run(self.clock),
            now=self.clock.now,
        )
        subject = self.settings_error or Subject(
            fleet=Fleet(rotations=self.rotations, broken=self.broken),
            settings=Settings(
                rotation=None,
                rotations_path=self.path,
                schedule_interval=self.guarantee.schedule_interval,
                consumer_cache=self.guarantee.consumer_cache,
                token_lifetime=self.token_lifetime,
                log_level=self.log_level,
            ),
            ports=self.ports,
            replicas=self.replicas,
            **options,
        )
        return Findings(list(examine(subject, tools)))


def healthy(**changes: Any) -> Patient:
    """A patient that passes every check."""
    return Patient(**changes).store()


def with_workers(*, waiting: int = 0, failed: int = 0) -> Patient:
    """A patient whose scheduled runs enqueue what is due for two workers."""
    patient = healthy(path="/rotations")
    outputs = {**OUTPUTS, **WORKERS, "RotationsPath": "/rotations"}
    patient.inspector.all_stacks = [Stack(name="many", outputs=outputs)]
    patient.inspector.queues = {WORK: waiting, POISONED: failed}
    patient.inspector.takers = {
        (FUNCTION, WORK): EventSourceMapping(id="an-id", state="Enabled", maximum_concurrency=2)
    }
    return patient


def with_topic(*confirmed: bool) -> Patient:
    """A patient whose alarms go to a topic with these subscriptions."""
    patient = healthy()
    patient.inspector.topics = {TOPIC: list(confirmed)}
    return patient


Breaks = Callable[[Patient], object]
Cases = Mapping[str, tuple[Breaks, str, Iterable[str], str]]
"""By a sentence's end: what breaks the patient, the cross, the dashes, and the advice's words."""


# How it is broken.


def fails(method: str) -> Any:
    """Break one question to AWS."""
    return lambda patient: patient.inspector.fails.update({method: BROKEN})


def answers(status: int, body: object) -> Any:
    """Let the endpoint answer otherwise."""
    return lambda patient: patient.ports.token_endpoint.answers.append((status, body))


def issues(**changes: Any) -> Any:
    """Let the endpoint issue another token."""
    return lambda patient: answers(200, patient.ports.token_endpoint.token_answer(**changes))(patient)


def has_key(**changes: str) -> Any:
    """Give the patient a key of its own."""
    facts = {"state": "Enabled", "usage": "ENCRYPT_DECRYPT", "spec": "SYMMETRIC_DEFAULT", **changes}

    def add(patient: Patient) -> None:
        patient.set(kms_key_id="alias/mine").inspector.keys["alias/mine"] = Key(**facts)

    return add

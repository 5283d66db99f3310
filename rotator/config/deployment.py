"""The port through which the doctor reads a deployment, and the records that it returns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from rotator.renewal.models import Rotation


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Who AWS takes the caller for, and where."""

    account: str
    arn: str
    region: str


@dataclass(frozen=True, kw_only=True)
class Key:
    """A KMS key: ``state``, ``usage`` and ``spec`` in KMS's words, such as ``Enabled``."""

    state: str
    usage: str
    spec: str


@dataclass(frozen=True, kw_only=True)
class ParameterVersion:
    """A version of a parameter, and the labels that are attached to it."""

    number: int
    labels: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class Stack:
    """A CloudFormation stack: what it puts out, and what it was given."""

    name: str
    outputs: Mapping[str, str]
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """A schedule of EventBridge Scheduler: whether it is enabled, when it fires, and at whom."""

    enabled: bool
    expression: str
    target: str


@dataclass(frozen=True, kw_only=True)
class EventSourceMapping:
    """What gives a queue's messages to a function: its ``state`` in Lambda's words.

    A working one is ``Enabled``. ``maximum_concurrency`` is the limit of concurrent runs, if there is one.
    """

    id: str
    state: str
    maximum_concurrency: int | None


@dataclass(frozen=True, kw_only=True)
class Subscription:
    """Of an SNS topic: what is notified, an ``email`` or ``sqs``, and whether that was confirmed."""

    protocol: str
    confirmed: bool


@dataclass(frozen=True, kw_only=True)
class LogEvent:
    """One line of a log, as it was written at that moment."""

    at: datetime
    message: str


class Inspector(Protocol):
    """AWS as the doctor sees it. Nothing here changes anything there.

    Every method raises a RotatorError when it is denied, throttled or cannot reach AWS, and
    SettingsError where the environment names no Region.
    """

    def identity(self) -> Identity:
        """Return who the caller is; every caller may ask that."""

    def aws_date(self) -> str | None:
        """Return AWS's ``Date`` header; AWS need not know the caller for that."""

    def may_write_token(self, rotation: Rotation) -> None:
        """Return if the caller may write the token parameter, which must be there."""

    def may_write_status(self, rotation: Rotation) -> None:
        """Return if the caller may write the status parameter, which must be there."""

    def may_write_lease(self, rotation: Rotation) -> None:
        """Return if the caller may write the lease parameter, which must be there."""

    def versions(self, name: str) -> Sequence[ParameterVersion]:
        """Return the versions of the parameter that are kept, in any order. The parameter must exist."""

    def key(self, key_id: str) -> Key | None:
        """Return the KMS key of this id, ARN or alias, if there is one."""

    def stack(self, name: str) -> Stack | None:
        """Return the stack of this name, if there is one."""

    def stacks(self) -> Sequence[Stack]:
        """Return all stacks of the account and Region."""

    def schedule(self, name: str, group: str) -> Schedule | None:
        """Return the schedule of this name in this group, if there is one."""

    def messages(self, queue_url: str) -> int | None:
        """Return about how many messages wait in this queue, if there is such a queue."""

    def event_source_mapping(self, function: str, queue_url: str) -> EventSourceMapping | None:
        """Return what gives the queue's messages to this function, if anything does."""

    def subscriptions(self, topic_arn: str) -> Sequence[Subscription]:
        """Return the topic's subscriptions. The topic must exist."""

    def last_event(self, log_group: str, words: str, since: datetime) -> LogEvent | None:
        """Return the newest event since then whose message holds these words, if there is one."""

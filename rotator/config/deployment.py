"""The port through which the doctor reads a deployment, and the records that it returns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from rotator.renewal.models import Rotation


@dataclass(frozen=True, kw_only=True)
class Identity:
    """The identity of the caller in AWS, and the Region."""

    account: str
    arn: str
    region: str


@dataclass(frozen=True, kw_only=True)
class Key:
    """A KMS key: ``state``, ``usage`` and ``spec`` as KMS returns them, such as ``Enabled``."""

    state: str
    usage: str
    spec: str


@dataclass(frozen=True, kw_only=True)
class Stack:
    """A CloudFormation stack with its outputs and parameters."""

    name: str
    outputs: Mapping[str, str]
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """A schedule of EventBridge Scheduler: its state, its expression, and the ARN of its target."""

    enabled: bool
    expression: str
    target: str


@dataclass(frozen=True, kw_only=True)
class EventSourceMapping:
    """The mapping from a queue to a function; ``state`` is as Lambda returns it, such as ``Enabled``."""

    id: str
    state: str
    maximum_concurrency: int | None  # of runs, if it is limited


@dataclass(frozen=True, kw_only=True)
class LogEvent:
    """One line of a log, and when it was written."""

    at: datetime
    message: str


class Inspector(Protocol):
    """The part of AWS that the doctor reads. No method changes anything in AWS.

    Every method raises RotatorError if AWS denies or throttles the call or cannot be reached, and
    SettingsError if the environment names no Region.
    """

    def identity(self) -> Identity:
        """Return the caller's identity; this needs no permission."""

    def aws_date(self) -> str | None:
        """Return AWS's ``Date`` header; this needs no credentials."""

    def may_write(self, rotation: Rotation, name: str) -> None:
        """Check that the caller may write this one of the rotation's parameters, which must exist."""

    def versions(self, name: str) -> Mapping[int, Sequence[str]]:
        """Return the labels of each stored version of a parameter, which must exist."""

    def key(self, key_id: str) -> Key | None:
        """Return the KMS key of this id, ARN or alias, if there is one."""

    def stack(self, name: str) -> Stack | None:
        """Return the stack of this name, if there is one."""

    def stacks(self) -> Sequence[Stack]:
        """Return all stacks of the account and Region."""

    def schedule(self, name: str, group: str) -> Schedule | None:
        """Return the schedule of this name in this group, if there is one."""

    def messages(self, queue_url: str) -> int | None:
        """Return the approximate number of messages in this queue, None if there is no such queue."""

    def event_source_mapping(self, function: str, queue_url: str) -> EventSourceMapping | None:
        """Return the event source mapping from the queue to this function, if there is one."""

    def subscriptions(self, topic_arn: str) -> Sequence[bool]:
        """Return whether each subscription of the topic is confirmed; the topic must exist."""

    def last_event(self, log_group: str, words: str, since: datetime) -> LogEvent | None:
        """Return the newest event since a time (UTC) whose message contains these words, if there is one."""

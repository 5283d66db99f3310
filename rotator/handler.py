"""The Lambda function: carries out the run that an event requests, and returns the run's summary."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable
from functools import cache, partial
from typing import Any, Protocol

# Imported objects are never garbage, so searching them would only slow a cold start down. Garbage collection
# begins after the imports and ignores their objects: https://docs.python.org/3.13/library/gc.html#gc.freeze
gc.disable()
from rotator import bootstrap  # noqa: E402
from rotator.errors import SettingsError  # noqa: E402
from rotator.observability import logs, metrics  # noqa: E402
from rotator.renewal.deadline import Deadline  # noqa: E402
from rotator.renewal.models import Summary  # noqa: E402
from rotator.renewal.ports import Run  # noqa: E402
from rotator.renewal.results import RotationFailed  # noqa: E402

gc.freeze()
gc.enable()

_SCHEDULERS = frozenset({"aws.events", "aws.scheduler"})
_KEYS = frozenset({"rotations", "force", "dry_run"})


class LambdaContext(Protocol):
    """The attributes of Lambda's context object that the function uses."""

    aws_request_id: str

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until Lambda stops the function."""


def lambda_handler(event: object, context: LambdaContext) -> dict[str, Any]:
    """Serve the rotations that the event names, or all rotations; return the summary of the run.

    A schedule's event means all rotations. Other events are objects with the optional fields ``rotations``
    (a list of names), ``force`` and ``dry_run``. If there are workers, an event without these fields enqueues
    the due rotations for them. A batch of messages from the workers' queue is an event as well; the answer to
    it names the failed messages.

    Raises:
        RotationFailed: At least one rotation failed. Raised after the last rotation, with the summary logged.
        SettingsError: The event or the settings are invalid.
    """
    rotator = _rotator()
    if isinstance(event, dict) and "Records" in event:
        from rotator.workers import queue_messages  # most events come from the schedule

        if queue_messages.is_batch(event):
            interval = rotator.settings.schedule_interval
            batch = queue_messages.read(event["Records"], bootstrap.utc_now(), interval)
            summary = _run_and_report(rotator, context, lambda run: rotator.work(run, batch))
            # https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
            return {"batchItemFailures": [{"itemIdentifier": each} for each in batch.failures(summary)]}
    names, force, dry_run = _read_event(event)
    serve: Callable[[Run], Summary] = rotator.run_scheduled
    if names or force or dry_run:
        serve = partial(rotator.run, names=names, force=force, dry_run=dry_run)
    summary = _run_and_report(rotator, context, serve)
    if summary.failed:
        raise RotationFailed(summary)
    return summary.to_dict()


def _run_and_report(
    rotator: bootstrap.Rotator, context: LambdaContext, serve: Callable[[Run], Summary]
) -> Summary:
    """Carry out a run, write its log and metrics, and return its summary."""
    deadline = Deadline(lambda: context.get_remaining_time_in_millis() / 1000)
    run = bootstrap.begin_run(context.aws_request_id, deadline)
    rotator.counters.take()  # drops the counts of an earlier run that Lambda stopped before it reported them
    began = time.monotonic()
    summary = serve(run)
    duration, now = time.monotonic() - began, bootstrap.utc_now()
    logs.log_summary(summary, now)
    service = os.environ.get("AWS_LAMBDA_FUNCTION_NAME") or "rotator"
    metrics.record_metrics(summary, now, service=service, duration=duration, counts=rotator.counters.take())
    return summary


@cache
def _rotator() -> bootstrap.Rotator:
    """Return the rotator of this environment: later invocations reuse its open connections."""
    rotator = bootstrap.build(os.environ)
    logs.configure(rotator.settings.log_level)
    return rotator


def _read_event(event: object) -> tuple[list[str], bool, bool]:
    if not isinstance(event, dict):
        raise SettingsError(f"the event is a {type(event).__name__}", advice="send a JSON object")
    if event.get("source") in _SCHEDULERS and "detail-type" in event:
        return [], False, False
    for key in sorted(map(str, event.keys() - _KEYS)):
        raise SettingsError(
            f"the event has the unknown key {key[:64]!r}",
            advice="the known keys are rotations, force and dry_run",
        )
    names = event.get("rotations", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise SettingsError(
            "rotations in the event is not a list of names", advice='send {"rotations": ["default"]}'
        )
    if "rotations" in event and not names:
        raise SettingsError(
            "rotations in the event is empty", advice="name at least one, or omit it to serve all rotations"
        )
    for key in ("force", "dry_run"):
        if not isinstance(event.get(key, False), bool):
            raise SettingsError(f"{key} in the event is not true or false", advice="send true or false")
    return names, event.get("force", False), event.get("dry_run", False)

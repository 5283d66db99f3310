"""The Lambda function: an event in, the run's summary out."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Protocol

# What is imported stays, so a search for garbage in it is a cold start's waste. It begins behind the imports,
# and leaves alone what they made: https://docs.python.org/3.13/library/gc.html#gc.freeze
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
    """The part of Lambda's context object that is used."""

    aws_request_id: str

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until the function is stopped."""


def lambda_handler(event: object, context: LambdaContext) -> dict[str, Any]:
    """Serve the rotations the event names, or all of them.

    A schedule's event means all rotations. Others are objects with ``rotations`` (a list of names),
    ``force`` and ``dry_run``, all optional. Where there are workers, an event without any of these enqueues
    for them what is due. Messages of a queue that name rotations are events, too; the answer names those that
    failed.

    Raises RotationFailed after the last rotation if any failed, with the summary logged, and
    SettingsError if the event or the settings cannot be used.
    """
    rotator = _rotator()
    if _is_batch(event):
        return _serve_messages(rotator, event["Records"], context)  # type: ignore[index]
    names, force, dry_run = _read_event(event)
    is_scheduled = not (names or force or dry_run)

    def serve(run: Run) -> Summary:
        return (
            rotator.run_scheduled(run)
            if is_scheduled
            else rotator.run(run, names, force=force, dry_run=dry_run)
        )

    summary = _run_and_report(rotator, context, serve)
    if summary.failed:
        raise RotationFailed(summary)
    return summary.to_dict()


def _is_batch(event: object) -> bool:
    if not isinstance(event, dict) or "Records" not in event:
        return False
    from rotator.workers import queue_messages  # most events come from the schedule

    return queue_messages.is_batch(event)


def _serve_messages(
    rotator: bootstrap.Rotator, records: Sequence[dict[str, Any]], context: LambdaContext
) -> dict[str, Any]:
    """Serve what a batch of messages asks for; the answer names those that must come again.

    https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
    """
    from rotator.workers import queue_messages

    batch = queue_messages.read(records, bootstrap.utc_now(), rotator.settings.schedule_interval)
    summary = _run_and_report(rotator, context, lambda run: rotator.work(run, batch))
    return {"batchItemFailures": [{"itemIdentifier": message} for message in batch.failures(summary)]}


def _run_and_report(
    rotator: bootstrap.Rotator, context: LambdaContext, serve: Callable[[Run], Summary]
) -> Summary:
    """Run, write log and metrics, and return the summary."""
    run = bootstrap.begin_run(
        context.aws_request_id, Deadline(lambda: context.get_remaining_time_in_millis() / 1000)
    )
    rotator.counters.take()  # of an earlier run that was stopped before it could report them
    began = time.monotonic()
    summary = serve(run)
    duration, now = time.monotonic() - began, bootstrap.utc_now()
    logs.log_summary(summary, now)
    service = os.environ.get("AWS_LAMBDA_FUNCTION_NAME") or "rotator"
    metrics.record_metrics(summary, now, service=service, duration=duration, counts=rotator.counters.take())
    return summary


@cache
def _rotator() -> bootstrap.Rotator:
    """Made once for an environment: later invocations find its connections open."""
    rotator = bootstrap.build(os.environ)
    logs.configure(rotator.settings.log_level)
    return rotator


def _read_event(event: object) -> tuple[list[str], bool, bool]:
    if not isinstance(event, dict):
        raise _refused(f"the event is a {type(event).__name__}", "send a JSON object")
    if event.get("source") in _SCHEDULERS and "detail-type" in event:
        return [], False, False
    for key in sorted(map(str, event.keys() - _KEYS)):
        raise _refused(f"the event has the unknown key {key[:64]!r}", "known are rotations, force, dry_run")
    names = event.get("rotations", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise _refused("rotations in the event is not a list of names", 'send {"rotations": ["default"]}')
    if "rotations" in event and not names:
        raise _refused("rotations in the event is empty", "name some, or leave it out for all")
    for key in ("force", "dry_run"):
        if not isinstance(event.get(key, False), bool):
            raise _refused(f"{key} in the event is not true or false", "send true or false")
    return names, event.get("force", False), event.get("dry_run", False)


def _refused(problem: str, advice: str) -> SettingsError:
    return SettingsError(problem, advice=advice)

"""Tables for people: what a run did, and what is stored now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from rotator.cli import message_groups
from rotator.cli.console import plain_table
from rotator.cli.message_groups import Message
from rotator.cli.rotation_status import RotationStatus
from rotator.renewal.durations import describe_seconds, format_time, seconds_until
from rotator.renewal.models import Outcome, Result, Summary
from rotator.renewal.policy import outlook

_COLOURS = {
    "rotated": "green",
    "fresh": "green",
    "kept": "yellow",
    "busy": "yellow",
    "failed": "red",
    "due": "yellow",
    "expired": "red",
    "unknown": "red",
    "missing": "red",
    "unreadable": "red",
}


def print_summary(console: Console, summary: Summary) -> None:
    """Print a run's outcomes as a table, what is worst first; then notes, warnings and how many there are."""
    results = sorted(summary.results, key=lambda result: (not result.error, not result.late, result.name))
    rows = [_outcome_row(result, dry_run=summary.dry_run) for result in results]
    console.print(plain_table(("rotation", "outcome", "expires at (UTC)", "version"), rows))
    for reason in (*_result_notes(results), *_warnings(summary.warnings)):
        console.print(reason, soft_wrap=True)
    if len(results) != 1:
        console.print(Text(_totals(summary), style="bold"), soft_wrap=True)


def _result_notes(results: Sequence[Result]) -> Iterator[Text]:
    """Return the errors and reasons of outcomes, one for several rotations where they are the same."""
    messages = (
        Message(
            rotation=result.name,
            text=result.error or result.reason or "",
            reason=(result.error_kind, result.advice) if result.advice else (result.error, result.reason),
            outlook=outlook(result) if result.error else "",
            seconds_remaining=result.seconds_remaining,
        )
        for result in results
        if result.error or result.reason
    )
    return map(Text, message_groups.lines(messages))


def _totals(summary: Summary) -> str:
    """How many ended how, in a line."""
    counted = Counter(result.outcome for result in summary.results)
    words = {Outcome.ROTATED: "would be rotated"} if summary.dry_run else {}
    told = ", ".join(f"{counted[each]:,} {words.get(each, each)}" for each in Outcome if counted[each])
    early = counted[Outcome.FAILED] - summary.failed_late
    return f"{len(summary.results):,} rotations: {told}" + (f" ({early:,} of them early)" if early else "")


def _outcome_row(result: Result, *, dry_run: bool) -> list[str | Text]:
    outcome = Text(result.outcome.value, style=_COLOURS[result.outcome])
    if result.error and not result.late:
        outcome = Text("failed early", style="yellow")
    if dry_run and result.outcome is Outcome.ROTATED:
        outcome = Text("would be rotated", style="yellow")
    expires_at = format_time(result.expires_at) if result.expires_at else "-"
    return [result.name, outcome, expires_at, str(result.parameter_version or "-")]


def status_table(lines: Sequence[RotationStatus]) -> Table:
    """What is stored for every rotation."""
    columns = ("rotation", "state", "expires in", "renewed in", "version", "least life")
    return plain_table(columns, map(_status_row, lines))


def status_notes(lines: Sequence[RotationStatus]) -> list[Text]:
    """What there is to say besides, then the warnings."""
    return [
        *map(
            Text,
            message_groups.lines(
                Message(rotation=line.name, text=line.reason, reason=line.group_key)
                for line in lines
                if line.reason
            ),
        ),
        *_warnings(list(dict.fromkeys(line.overlap for line in lines if line.overlap))),
    ]


def _status_row(line: RotationStatus) -> list[str | Text]:
    return [
        line.name,
        Text(line.state, style=_COLOURS[line.state]),
        describe_seconds(line.seconds_remaining) if line.seconds_remaining is not None else "-",
        describe_seconds(max(0.0, seconds_until(line.renewal, line.now))) if line.renewal else "-",
        str(line.stored.token_version or "-"),
        describe_seconds(line.guaranteed_lifetime) if line.guaranteed_lifetime is not None else "-",
    ]


def _warnings(warnings: Sequence[str]) -> list[Text]:
    return [Text("warning: ", style="yellow") + Text(warning) for warning in warnings]

"""Tables for people: the results of a run, and the status of each rotation."""

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


BAR_WIDTH = 10
"""Characters of a bar of the remaining lifetime."""

MIN_WIDTH_FOR_BAR = 100
"""Columns of a terminal; in a narrower one the cells would be folded."""


def print_summary(console: Console, summary: Summary) -> None:
    """Print a run's outcomes as a table, failures first; then reasons, warnings and totals."""
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
    """Return the number of rotations by outcome, as a line."""
    counted = Counter(result.outcome for result in summary.results)
    words = {Outcome.ROTATED: "would be rotated"} if summary.dry_run else {}
    counts = ", ".join(f"{counted[each]:,} {words.get(each, each)}" for each in Outcome if counted[each])
    early = counted[Outcome.FAILED] - summary.failed_late
    return f"{len(summary.results):,} rotations: {counts}" + (f" ({early:,} of them early)" if early else "")


def _outcome_row(result: Result, *, dry_run: bool) -> list[str | Text]:
    outcome = Text(result.outcome.value, style=_COLOURS[result.outcome])
    if result.error and not result.late:
        outcome = Text("failed early", style="yellow")
    if dry_run and result.outcome is Outcome.ROTATED:
        outcome = Text("would be rotated", style="yellow")
    expires_at = format_time(result.expires_at) if result.expires_at else "-"
    return [result.name, outcome, expires_at, str(result.parameter_version or "-")]


def status_table(lines: Sequence[RotationStatus], bar: str = "") -> Table:
    """Return a table with the status of each rotation.

    Args:
        lines: The rotations, in this order.
        bar: The two characters of a bar of the remaining lifetime, for a terminal.
    """
    columns = ("rotation", "state", "expires in", "renewed in", "version", "guaranteed", "last attempt")
    return plain_table(columns, (_status_row(line, bar) for line in lines))


def bar_characters(console: Console) -> str:
    """Return the characters for a bar on this console; none if it is no terminal, or a narrow one."""
    if not console.is_terminal or console.width < MIN_WIDTH_FOR_BAR:
        return ""
    return "█░" if console.encoding.startswith("utf") else "#-"


def status_notes(lines: Sequence[RotationStatus]) -> list[Text]:
    """Return the reasons of states, then the warnings."""
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


def _status_row(line: RotationStatus, bar: str) -> list[str | Text]:
    return [
        line.name,
        Text(line.state, style=_COLOURS[line.state]),
        _remaining(line, bar),
        describe_seconds(max(0.0, seconds_until(line.renewal, line.now))) if line.renewal else "-",
        str(line.stored.token_version or "-"),
        describe_seconds(line.guaranteed_lifetime) if line.guaranteed_lifetime is not None else "-",
        line.last_outcome,
    ]


def _remaining(line: RotationStatus, bar: str) -> Text:
    """Return the remaining lifetime in words, after a bar of its share of the whole lifetime."""
    status, seconds = line.stored.token_status, line.seconds_remaining
    if status is None or seconds is None:
        return Text("-")
    words = describe_seconds(seconds)
    if not bar:
        return Text(words)
    filled = round(BAR_WIDTH * min(1.0, max(0.0, seconds / status.lifetime)))
    drawn = bar[0] * filled + bar[1] * (BAR_WIDTH - filled)
    return Text(drawn, style=_COLOURS[line.state]) + Text(f" {words}")


def _warnings(warnings: Sequence[str]) -> list[Text]:
    return [Text("warning: ", style="yellow") + Text(warning) for warning in warnings]

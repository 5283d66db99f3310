"""What ``rotator status`` shows: tables of rotations and replicas, the reasons of states, and warnings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from rotator.cli.console import Message, grouped, plain_table
from rotator.cli.rotation_status import RotationStatus
from rotator.renewal.durations import describe_seconds, seconds_until
from rotator.replication.replica import ReplicaState

_COLOURS = {"fresh": "green", "due": "yellow"}

BAR_WIDTH = 10
"""Characters of a bar of the remaining lifetime."""


def status_parts(lines: Sequence[RotationStatus], bar: str = "") -> Iterator[Table | Text]:
    """Yield the table of these rotations, that of their replicas, then reasons and warnings.

    ``bar`` has the two characters of a bar of the remaining lifetime, for a terminal.
    """
    if not lines:
        return
    columns = ("rotation", "state", "expires in", "renewed in", "version", "guaranteed", "last attempt")
    yield plain_table(columns, (_status_row(line, bar) for line in lines))
    replicas = [(line, replica) for line in lines for replica in line.replicas]
    if replicas:
        of_replicas = ("rotation", "replica in", "state", "expires in", "version")
        yield plain_table(of_replicas, (_replica_row(*each) for each in replicas))
    messages = (
        Message(
            rotation=line.name,
            text=line.reason,
            reason=(type(line.error), line.error.advice) if line.error else line.reason,
        )
        for line in lines
        if line.reason
    )
    yield from grouped(messages, dict.fromkeys(line.overlap for line in lines if line.overlap))
    yield from map(Text, dict.fromkeys(f"{each.region}: {each.error}" for _, each in replicas if each.error))
    if any(each.behind for _, each in replicas):
        yield Text("the next scheduled run writes the replicas that are behind; its log says why they are")


def bar_characters(console: Console) -> str:
    """Return the characters for a bar on this console; none if it is no terminal, or a narrow one."""
    if not console.is_terminal or console.width < 100:  # the cells would be folded
        return ""
    return "█░" if console.encoding.startswith("utf") else "#-"


def _status_row(line: RotationStatus, bar: str) -> list[str | Text]:
    until_renewal = max(0.0, seconds_until(line.renewal, line.now)) if line.renewal else None
    return [
        line.name,
        Text(line.state, style=_colour(line)),
        _remaining(line, bar),
        _duration(until_renewal),
        str(line.stored.token_version or "-"),
        _duration(line.guaranteed_lifetime),
        line.last_outcome,
    ]


def _remaining(line: RotationStatus, bar: str) -> Text:
    """Return the remaining lifetime in words, after a bar of its share of the whole lifetime."""
    status, seconds = line.stored.token_status, line.seconds_remaining
    words = _duration(seconds)
    if status is None or seconds is None or not bar:
        return Text(words)
    filled = round(BAR_WIDTH * min(1.0, max(0.0, seconds / status.lifetime)))
    drawn = bar[0] * filled + bar[1] * (BAR_WIDTH - filled)
    return Text(drawn, style=_colour(line)) + Text(f" {words}")


def _replica_row(line: RotationStatus, replica: ReplicaState) -> list[str | Text]:
    return [
        line.name,
        replica.region,
        Text(replica.state, style="green" if replica.behind is False else "yellow"),
        _duration(replica.seconds_remaining(line.now)),
        str((replica.stored and replica.stored.token_version) or "-"),
    ]


def _duration(seconds: float | None) -> str:
    return "-" if seconds is None else describe_seconds(seconds)


def _colour(line: RotationStatus) -> str:
    return _COLOURS.get(line.state, "red")

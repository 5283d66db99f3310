"""The replicas of rotations in other Regions, as `rotator status` shows them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from rich.table import Table
from rich.text import Text

from rotator.cli.console import plain_table
from rotator.cli.rotation_status import RotationStatus
from rotator.renewal.durations import describe_seconds
from rotator.replication.replica import ReplicaState

_COLUMNS = ("rotation", "replica in", "state", "expires in", "version")


def replica_table(lines: Sequence[RotationStatus]) -> Iterator[Table]:
    """Yield the table of all replicas of these rotations, if there are any."""
    rows = [_row(line, replica) for line in lines for replica in line.replicas]
    if rows:
        yield plain_table(_COLUMNS, rows)


def replica_notes(lines: Sequence[RotationStatus]) -> Iterator[Text]:
    """Yield why replicas cannot be read, and what happens next to those that are behind."""
    replicas = [(line.name, replica) for line in lines for replica in line.replicas]
    errors = dict.fromkeys(f"{each.region}: {each.error}" for _, each in replicas if each.error)
    yield from map(Text, errors)
    if any(each.behind for _, each in replicas):
        yield Text("the next scheduled run writes the replicas that are behind; its log says why they are")


def to_dict(replica: ReplicaState, now: datetime) -> dict[str, Any]:
    """Return a replica as ``--json`` gives it."""
    seconds = replica.seconds_remaining(now)
    return {
        "region": replica.region,
        "state": replica.state,
        "parameter_version": replica.stored.token_version or None if replica.stored else None,
        "seconds_remaining": int(seconds) if seconds is not None else None,
        "behind": replica.behind,
        "error": str(replica.error) if replica.error else None,
    }


def _row(line: RotationStatus, replica: ReplicaState) -> list[str | Text]:
    seconds = replica.seconds_remaining(line.now)
    version = replica.stored.token_version if replica.stored else 0
    return [
        line.name,
        replica.region,
        Text(replica.state, style="green" if replica.behind is False else "yellow"),
        describe_seconds(seconds) if seconds is not None else "-",
        str(version or "-"),
    ]

"""The overview that ``rotator status`` shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from rotator.bootstrap import Rotator
from rotator.cli import replica_status, tables
from rotator.cli.rotation_status import RotationStatus, status_of
from rotator.config.registry import unknown
from rotator.doctor.stored_state import read_stored_for_display
from rotator.fleet.state_reader import StoredByName
from rotator.renewal.durations import describe_seconds, format_time
from rotator.renewal.models import Rotation, Stored
from rotator.renewal.policy import TokenState
from rotator.replication.replica import ReplicaState

UNREADABLE = "unreadable"
STATES = (*(state.value for state in TokenState), UNREADABLE)
"""The states of a rotation, in the order in which they are counted."""

_WORST_FIRST = (TokenState.EXPIRED, TokenState.MISSING, TokenState.UNKNOWN, UNREADABLE)


@dataclass(frozen=True, kw_only=True)
class Filter:
    """Selects the rotations to show: by state, and by remaining lifetime (seconds)."""

    states: frozenset[str] = frozenset()
    ending_within: float | None = None

    def has(self, line: RotationStatus) -> bool:
        """Whether a rotation is shown. A token of unknown lifetime may expire at any time."""
        if self.states and line.state not in self.states:
            return False
        if self.ending_within is None or not line.is_valid or line.seconds_remaining is None:
            return True
        return line.seconds_remaining <= self.ending_within


EVERYTHING = Filter()


@dataclass(frozen=True, kw_only=True)
class Overview:
    """The rotations that are shown at a time (UTC), or the error if none could be read.

    ``total`` also counts the rotations that the filter leaves out.
    """

    at: datetime
    lines: tuple[RotationStatus, ...] = ()
    total: int = 0
    error: str | None = None

    @property
    def is_valid(self) -> bool:
        """Whether every rotation that is shown has a token that is known to be valid."""
        return self.error is None and all(line.is_valid for line in self.lines)

    @property
    def states(self) -> Mapping[str, int]:
        """The number of rotations shown, by state."""
        found = Counter(line.state for line in self.lines)
        return {state: found[state] for state in STATES if found[state]}

    @property
    def soonest(self) -> RotationStatus | None:
        """The rotation whose valid token expires first."""
        return next((line for line in self.lines if line.is_valid), None)

    def to_dict(self) -> dict[str, Any]:
        """Return the overview as ``--json`` prints it."""
        fields: dict[str, Any] = {
            "at": format_time(self.at),
            "rotations": [_line_to_dict(line) for line in self.lines],
        }
        return (
            {**fields, "summary": self._summary()} if self.error is None else {**fields, "error": self.error}
        )

    def _summary(self) -> dict[str, Any]:
        first = self.soonest and self.soonest.to_dict()
        return {
            "rotations": self.total,
            "shown": len(self.lines),
            "states": dict(self.states),
            "soonest": first and {key: first[key] for key in ("name", "expires_at", "seconds_remaining")},
        }

    def describe(self) -> str:
        """Return the summary as a line for people."""
        shown = f"{self.total:,}"
        if len(self.lines) < self.total:
            shown = f"{len(self.lines):,} of {self.total:,}"
        fields = f"{shown} rotation{'s' * (self.total != 1)}"
        if self.states:
            fields += ": " + ", ".join(f"{count:,} {state}" for state, count in self.states.items())
        if self.soonest and self.soonest.seconds_remaining is not None:
            expiry = describe_seconds(self.soonest.seconds_remaining)
            fields += f"; the soonest expires in {expiry} ({self.soonest.name})"
        return fields

    def table(self, bar: str = "") -> Iterator[RenderableType]:
        """Yield the table of rotations, with bars of these characters, then their reasons and warnings."""
        if self.lines:
            yield tables.status_table(self.lines, bar)
            yield from replica_status.replica_table(self.lines)
            yield from tables.status_notes(self.lines)
            yield from replica_status.replica_notes(self.lines)

    def headline(self) -> Iterator[RenderableType]:
        """Yield the summary, unless the table has a single rotation."""
        if self.total != 1 or not self.lines:
            yield Text(self.describe(), style="bold")


def read_overview(
    rotator: Rotator, names: Sequence[str], now: datetime, filter_by: Filter = EVERYTHING
) -> Overview:
    """Read the rotation documents, and the status of the rotations of these names, or of all.

    A name may be a pattern such as ``tenant-a.*``. Raises what ``Rotator.fleet`` raises; a rotation that
    cannot be read is a line with the error. Failures come first, then the token that expires first.
    """
    fleet = rotator.fleet()
    known = [*(rotation.name for rotation in fleet.rotations), *(name for name, _ in fleet.broken)]
    meant = matching(names, known)
    rotations = [rotation for rotation in fleet.rotations if rotation.name in meant]
    stored = read_stored_for_display(rotations, rotator.ports.parameters, now=now)
    replicas = _replicas(rotator, rotations, stored)
    lines = [
        status_of(r, stored[r.name], now, rotator.guarantee, replicas.get(r.name, ())) for r in rotations
    ]
    lines += [
        RotationStatus(rotation=None, name=name, state=UNREADABLE, stored=Stored(), now=now, error=error)
        for name, error in fleet.broken
        if name in meant
    ]
    shown = sorted(filter(filter_by.has, lines), key=_urgency)
    return Overview(at=now, lines=tuple(shown), total=len(lines))


def _replicas(
    rotator: Rotator, rotations: Sequence[Rotation], stored: StoredByName
) -> dict[str, tuple[ReplicaState, ...]]:
    """Return the replicas of each rotation, by its name; empty where there are no replica Regions."""
    if not rotator.replicas:
        return {}
    from rotator.replication.region_copies import replica_states

    return {r.name: states for r, states in replica_states(rotations, rotator.replicas, stored)}


def _line_to_dict(line: RotationStatus) -> dict[str, Any]:
    replicas = [replica_status.to_dict(replica, line.now) for replica in line.replicas]
    return {**line.to_dict(), "replicas": replicas} if replicas else line.to_dict()


def matching(names: Sequence[str], known: Collection[str]) -> frozenset[str]:
    """Return the known names that ``names`` match: exactly, else as a pattern; all if ``names`` is empty.

    Raises SettingsError for a name that matches none.
    """
    if not names:
        return frozenset(known)
    return frozenset().union(*(_meant(name, known) for name in names))


def _meant(name: str, known: Collection[str]) -> frozenset[str]:
    if name in known:
        return frozenset({name})
    meant = frozenset(each for each in known if fnmatchcase(each, name))
    if not meant:
        raise unknown(name, known, patterns=True)
    return meant


def _urgency(line: RotationStatus) -> tuple[bool, int, float, str]:
    worst = _WORST_FIRST.index(line.state) if line.state in _WORST_FIRST else len(_WORST_FIRST)
    return line.is_valid, worst, line.seconds_remaining or 0.0, line.name

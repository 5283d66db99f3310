"""The overview that ``rotator status`` shows."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any

from rich.text import Text

from rotator.bootstrap import Rotator
from rotator.cli.rotation_status import UNREADABLE, RotationStatus, status_of
from rotator.config.registry import unknown
from rotator.doctor.stored_state import read_stored_for_display
from rotator.renewal.durations import describe_seconds, format_time
from rotator.renewal.policy import TokenState
from rotator.replication.region_copies import replica_states

STATES = (*(state.value for state in TokenState), UNREADABLE)
"""The states of a rotation, in the order in which they are counted."""

_WORST_FIRST = (TokenState.EXPIRED, TokenState.MISSING, TokenState.UNKNOWN, UNREADABLE, TokenState.DUE)
"""The states of a rotation without a token that is known to be valid; a due token may be revoked."""


@dataclass(frozen=True, kw_only=True)
class Overview:
    """The rotations that are shown at a time (UTC), out of ``total``; or the error if none could be read."""

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
        lines = [line.to_dict() for line in self.lines]
        fields = {"at": format_time(self.at), "rotations": lines}
        if self.error is not None:
            return {**fields, "error": self.error}
        first = self.soonest and self.soonest.to_dict()
        summary = {
            "rotations": self.total,
            "shown": len(lines),
            "states": self.states,
            "soonest": first and {key: first[key] for key in ("name", "expires_at", "seconds_remaining")},
        }
        return {**fields, "summary": summary}

    def describe(self) -> str:
        """Return the summary as a line for people."""
        left_out = len(self.lines) < self.total
        shown = f"{len(self.lines):,} of {self.total:,}" if left_out else f"{self.total:,}"
        fields = f"{shown} rotation{'s' * (self.total != 1)}"
        if self.states:
            fields += ": " + ", ".join(f"{count:,} {state}" for state, count in self.states.items())
        if self.soonest and self.soonest.seconds_remaining is not None:
            expiry = describe_seconds(self.soonest.seconds_remaining)
            fields += f"; the soonest expires in {expiry} ({self.soonest.name})"
        return fields

    def headline(self) -> list[Text]:
        """Return the summary, unless the table has a single rotation."""
        return [] if self.total == len(self.lines) == 1 else [Text(self.describe(), style="bold")]


def read_overview(
    rotator: Rotator,
    names: Sequence[str],
    now: datetime,
    *,
    states: Collection[str] = (),
    ending_within: float = math.inf,
) -> Overview:
    """Read the rotation documents, and the status of the rotations of these names, or of all.

    A name may be a pattern such as ``tenant-a.*``. Raises what ``Rotator.fleet`` raises; a rotation that
    cannot be read is a line with the error. Failures come first, then the token that expires first.
    ``states`` and the longest remaining lifetime of valid tokens (seconds) select the rotations to show.
    """
    fleet = rotator.fleet()
    meant = matching(names, fleet.names)
    rotations = [rotation for rotation in fleet.rotations if rotation.name in meant]
    stored = read_stored_for_display(rotations, rotator.ports.parameters, now=now)
    lines = [
        status_of(rotation, stored[rotation.name], now, rotator.settings.guarantee, replicas)
        for rotation, replicas in replica_states(rotations, rotator.replicas, stored)
    ]
    lines += [
        RotationStatus(name=name, now=now, error=error) for name, error in fleet.broken if name in meant
    ]
    shown = [
        line
        for line in lines
        if (not states or line.state in states)
        and (not line.is_valid or (line.seconds_remaining or 0) <= ending_within)
    ]
    return Overview(at=now, lines=tuple(sorted(shown, key=_urgency)), total=len(lines))


def matching(names: Sequence[str], known: Collection[str]) -> set[str]:
    """Return the known names that ``names`` match, exactly or as patterns, or all; raises SettingsError."""
    meant: set[str] = set()
    for name in names:
        found = {name} & {*known} or {each for each in known if fnmatchcase(each, name)}
        if not found:
            raise unknown(name, known, patterns=True)
        meant |= found
    return meant or {*known}


def _urgency(line: RotationStatus) -> tuple[bool, int, float, str]:
    worst = 0 if line.is_valid else _WORST_FIRST.index(line.state)
    return line.is_valid, worst, line.seconds_remaining or 0.0, line.name

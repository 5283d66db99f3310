"""What ``rotator status`` shows at one moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rotator import report
from rotator.bootstrap import Rotator
from rotator.model import Stored, format_time
from rotator.report import StatusLine
from rotator.stored import read_stored


@dataclass(frozen=True, kw_only=True)
class Overview:
    """The state of every rotation at a time (UTC), or why nothing could be learned of any."""

    at: datetime
    lines: tuple[StatusLine, ...] = ()
    error: str | None = None

    @property
    def good(self) -> bool:
        """Whether consumers of every rotation have a token that is known to be alive."""
        return self.error is None and all(line.good for line in self.lines)

    def to_dict(self) -> dict[str, Any]:
        """The overview as ``--json`` gives it."""
        told: dict[str, Any] = {
            "at": format_time(self.at),
            "rotations": [line.to_dict() for line in self.lines],
        }
        return told if self.error is None else {**told, "error": self.error}


def look(rotator: Rotator, names: Sequence[str], now: datetime) -> Overview:
    """Read the documents, if there are any, and what is stored for the rotations of these names, or all.

    Raises what ``Rotator.fleet`` raises; a rotation that cannot be read is a line that says so.
    """
    fleet = rotator.fleet(names)
    stored = read_stored(fleet.rotations, rotator.ports.parameters)
    lines = [report.status_line(r, stored[r.name], now, rotator.contract) for r in fleet.rotations]
    lines += [
        StatusLine(rotation=None, name=name, state="unreadable", stored=Stored(), now=now, error=str(error))
        for name, error in fleet.broken
    ]
    return Overview(at=now, lines=tuple(sorted(lines, key=lambda line: line.name)))

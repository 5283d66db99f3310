"""The checks as people read them: a line each, and below a cross what to do next."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from rotator.doctor.check import Check, State

_MARKS = {State.OK: ("✓", "green"), State.FAILED: ("✗", "red"), State.SKIPPED: ("\N{EN DASH}", "dim")}


def print_check(console: Console, check: Check, *, with_rotation: bool) -> None:
    """Print a check, with its rotation's name if there are several."""
    mark, style = _MARKS[check.state]
    of = f" of {check.rotation}" if with_rotation and check.rotation else ""
    line = Text(mark, style=style) + Text(f" {check.name}{of}: ", style="bold") + Text(check.found)
    console.print(line, soft_wrap=True)
    if check.advice:
        console.print(Text(f"  → {check.advice}"), soft_wrap=True)


def print_total(console: Console, checks: Sequence[Check]) -> None:
    """Print the number of checks in each state."""
    states = [check.state for check in checks]
    words = {State.OK: "passed", State.FAILED: "failed", State.SKIPPED: "not checked"}
    counts = [f"{states.count(state)} {word}" for state, word in words.items() if state in states]
    console.print(Text(", ".join(counts)))

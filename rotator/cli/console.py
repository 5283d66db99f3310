"""What people read: plain tables, and messages in which what is true of several rotations is shown once."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table
from rich.text import Text

PIPE_COLUMNS = 100_000
"""Columns of an output that is no terminal: more than any line has."""

MAX_SHOWN = 3
"""Rotations that are named, or whose messages are shown, for one reason."""


def standard_output() -> Console:
    """Return standard output. Cells are folded at a terminal's edge only: lines of a pipe are searched."""
    width = None if sys.stdout.isatty() else PIPE_COLUMNS
    return Console(width=width, markup=False, emoji=False, highlight=False)


def plain_table(columns: Sequence[str], rows: Iterable[Sequence[str | Text]]) -> Table:
    """A table without lines, whose cells are folded rather than cut off.

    A cell means nothing but itself: in an ARN ``:secret:`` is no picture, and ``[a]`` no style.
    """
    made = Table(box=None, pad_edge=False, header_style="bold", show_header=bool(columns))
    for column in columns:
        made.add_column(column, overflow="fold")
    for row in rows:
        made.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in row))
    return made


@dataclass(frozen=True, kw_only=True)
class Message:
    """A message about one rotation: what happened, the next step, and a failure's effect on consumers.

    Messages with the same ``reason``, such as the class of an error and its advice, are shown together.
    ``seconds_remaining`` is the remaining lifetime of the token, if it is known.
    """

    rotation: str
    text: str
    reason: Hashable
    outlook: str = ""
    seconds_remaining: float | None = None


def grouped(messages: Iterable[Message], warnings: Iterable[str]) -> Iterator[Text]:
    """Yield a few lines for each reason, in the order of their first messages; then the warnings."""
    groups = defaultdict[Hashable, list[Message]](list)
    for message in messages:
        groups[message.reason].append(message)
    for group in groups.values():
        yield from map(Text, _lines_of(group))
    for warning in warnings:
        yield Text("warning: ", style="yellow") + Text(warning)


def _lines_of(group: Sequence[Message]) -> Iterator[str]:
    shown, more = group[:MAX_SHOWN], len(group) - MAX_SHOWN
    and_more = f"and {more:,} more" if more > 0 else ""
    if len({message.text for message in group}) == 1:
        names = ", ".join(message.rotation for message in shown)
        yield f"{f'{names} {and_more}'.rstrip()}: {group[0].text}{_worst_outlook(group)}"
        return
    for message in shown:
        yield f"{message.rotation}: {message.text}{_worst_outlook([message])}"
    if and_more:
        yield f"{and_more} for the same reason{_worst_outlook(group)}"


def _worst_outlook(group: Sequence[Message]) -> str:
    worst = min(group, key=lambda message: message.seconds_remaining or 0)
    if not worst.outlook:
        return ""
    return f"; at worst: {worst.outlook}" if len(group) > 1 else f"; {worst.outlook}"

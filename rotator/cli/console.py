"""What people read on standard output: as it is, so that it can be copied and searched."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

PIPE_COLUMNS = 100_000
"""Columns of an output that is no terminal: more than any line has."""


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

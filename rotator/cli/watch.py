"""``rotator status --watch``: repeats the status until it is interrupted."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import datetime

import click
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from rotator import bootstrap
from rotator.cli.console import standard_output
from rotator.cli.status_view import Overview
from rotator.cli.tables import bar_characters
from rotator.errors import RotatorError, SettingsError
from rotator.renewal.durations import format_time

Read = Callable[[datetime], Overview]
Show = Callable[[Overview], None]


def run(read: Read, *, every: float, as_json: bool) -> bool:
    """Watch with this machine's clock and standard output; SIGTERM stops it like Ctrl-C.

    See ``watch`` for what it returns and raises.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with nullcontext(_print_line) if as_json else showing(standard_output()) as show:
        return watch(read, show, now=bootstrap.utc_now, sleep=time.sleep, every=every)


def watch(
    read: Read, show: Show, *, now: Callable[[], datetime], sleep: Callable[[float], None], every: float
) -> bool:
    """Read and show every n seconds until KeyboardInterrupt; return whether all tokens were valid at the end.

    A failed read is shown like a state. Raises SettingsError if the first read does: waiting would not help.
    """
    shown: Overview | None = None
    try:
        while True:
            at = now()
            try:
                overview = read(at)
            except RotatorError as error:
                if shown is None and isinstance(error, SettingsError):
                    raise
                overview = Overview(at=at, error=str(error))
            show(overview)
            shown = overview
            sleep(every)
    except KeyboardInterrupt:
        return shown is not None and shown.is_valid


@contextmanager
def showing(console: Console) -> Iterator[Show]:
    """Replace the overview on a terminal; append one after another elsewhere."""
    bar = bar_characters(console)
    if not console.is_interactive:
        yield lambda overview: console.print(*_parts(overview, bar), "", sep="\n", soft_wrap=True)
        return
    with Live(console=console, auto_refresh=False) as live:
        yield lambda overview: live.update(Group(*_parts(overview, bar)), refresh=True)


def _print_line(overview: Overview) -> None:
    click.echo(json.dumps(overview.to_dict()))


def _parts(overview: Overview, bar: str) -> Iterator[RenderableType]:
    """The summary comes first: a terminal shows only the beginning of a long table."""
    yield Text(format_time(overview.at), style="dim")
    if overview.error is not None:
        yield Text(overview.error, style="red")
        return
    yield from overview.headline()
    yield from overview.table(bar)

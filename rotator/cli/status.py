"""``rotator status``: shows each token's state and remaining lifetime, with ``--watch`` repeatedly."""

from __future__ import annotations

import json
import math
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import datetime
from typing import Any

import click
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from rotator import bootstrap
from rotator.cli.console import standard_output
from rotator.cli.options import FAILED, json_option, names_argument, print_json, stack_option
from rotator.cli.status_view import STATES, Overview, read_overview
from rotator.cli.tables import bar_characters, status_parts
from rotator.cli.wiring import rotator
from rotator.config import validators
from rotator.config.validators import InvalidValue
from rotator.errors import RotatorError, SettingsError
from rotator.renewal.durations import format_time

Read = Callable[[datetime], Overview]
Show = Callable[[Overview], None]


def _states(_ctx: click.Context, _param: click.Parameter, given: tuple[str, ...]) -> frozenset[str]:
    states = frozenset(word.strip().lower() for text in given for word in text.split(","))
    for state in sorted(states - {*STATES}):
        raise click.BadParameter(f"{state[:64]!r} is not one of {', '.join(STATES)}")
    return states


def _seconds(_ctx: click.Context, _param: click.Parameter, given: str | None) -> float:
    try:
        return math.inf if given is None else validators.seconds(0, 10 * 365 * 86_400)(given)
    except InvalidValue as refused:
        raise click.BadParameter(f"it must be {refused}") from None


@click.command("status")
@names_argument
@stack_option
@click.option(
    "--state",
    "states",
    multiple=True,
    metavar="STATE,...",
    callback=_states,
    help=f"Show only these states: {', '.join(STATES)}.",
)
@click.option(
    "--ending-within",
    metavar="TIME",
    callback=_seconds,
    help="Show only tokens that may expire within this time, such as 2h.",
)
@click.option("--watch", is_flag=True, help="Repeat until Ctrl-C; with --json, one document a line.")
@click.option(
    "--every",
    type=click.IntRange(1, 86_400),
    metavar="SECONDS",
    help="Seconds between repetitions of --watch. Default: 5.",
)
@json_option
def command(
    names: tuple[str, ...], *, stack: str | None, watch: bool, every: int | None, as_json: bool, **chosen: Any
) -> None:
    """Show each token's state and remaining lifetime.

    NAME may be a pattern in quotes, such as 'tenant-a.*'. Failures come first, then the token that expires
    first. The exit code is 0 if every rotation that is shown has a valid token, 1 otherwise.
    """
    if every and not watch:
        raise click.UsageError("--every needs --watch")
    of = rotator(stack)

    def read(now: datetime) -> Overview:
        return read_overview(of, names, now, **chosen)

    if watch:
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # stops it like Ctrl-C
        with nullcontext(_echo_json) if as_json else showing(standard_output()) as show:
            is_valid = repeat(read, show, now=bootstrap.utc_now, sleep=time.sleep, every=every or 5)
    else:
        found = read(bootstrap.utc_now())
        is_valid = found.is_valid
        if as_json:
            print_json(found.to_dict())
        else:
            console = standard_output()
            # The summary comes last, in sight even after hundreds of lines.
            for part in (*status_parts(found.lines, bar_characters(console)), *found.headline()):
                console.print(part, soft_wrap=isinstance(part, Text))
    if not is_valid:
        sys.exit(FAILED)


def repeat(
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


def _echo_json(overview: Overview) -> None:
    click.echo(json.dumps(overview.to_dict()))


def _parts(overview: Overview, bar: str) -> Iterator[Table | Text]:
    """The summary comes first: a terminal shows only the beginning of a long table."""
    yield Text(format_time(overview.at), style="dim")
    if overview.error is not None:
        yield Text(overview.error, style="red")
        return
    yield from overview.headline()
    yield from status_parts(overview.lines, bar)

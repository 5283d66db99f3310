"""``rotator status``: shows each token's state and remaining lifetime."""

from __future__ import annotations

import math
import os
import sys
from functools import partial
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from rotator import bootstrap
from rotator.cli import status_view
from rotator.cli.console import standard_output
from rotator.cli.options import FAILED, json_option, names_argument, print_json, stack_option
from rotator.cli.status_view import STATES, Overview
from rotator.cli.tables import bar_characters
from rotator.cli.wiring import rotator
from rotator.config import validators
from rotator.config.validators import InvalidValue

MAX_SECONDS = 10 * 365 * 86400
"""The longest time that --ending-within accepts: ten years."""

DEFAULT_INTERVAL_SECONDS = 5
"""From one read of --watch to the next."""


def _states(_ctx: click.Context, _param: click.Parameter, given: tuple[str, ...]) -> frozenset[str]:
    states = frozenset(word.strip().lower() for text in given for word in text.split(","))
    for state in sorted(states - {*STATES}):
        raise click.BadParameter(f"{state[:64]!r} is not one of {', '.join(STATES)}")
    return states


def _seconds(_ctx: click.Context, _param: click.Parameter, given: str | None) -> float:
    try:
        return math.inf if given is None else validators.seconds(0, MAX_SECONDS)(given)
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
def command(names: tuple[str, ...], *, stack: str | None, as_json: bool, **options: Any) -> None:
    """Show each token's state and remaining lifetime.

    NAME may be a pattern in quotes, such as 'tenant-a.*'. Failures come first, then the token that expires
    first. The exit code is 0 if every rotation that is shown has a valid token, 1 otherwise.
    """
    if options["every"] and not options["watch"]:
        raise click.UsageError("--every needs --watch")
    read_overview = partial(
        status_view.read_overview,
        rotator(os.environ, stack),
        names,
        states=options["states"],
        ending_within=options["ending_within"],
    )
    if options["watch"]:
        from rotator.cli.watch import run

        is_valid = run(read_overview, every=options["every"] or DEFAULT_INTERVAL_SECONDS, as_json=as_json)
    else:
        found = read_overview(bootstrap.utc_now())
        is_valid = found.is_valid
        if as_json:
            print_json(found.to_dict())
        else:
            _print(standard_output(), found)
    if not is_valid:
        sys.exit(FAILED)


def _print(console: Console, found: Overview) -> None:
    """Print the table, then the summary, which is in sight even after hundreds of lines."""
    for part in (*found.table(bar_characters(console)), *found.headline()):
        console.print(part, soft_wrap=isinstance(part, Text))

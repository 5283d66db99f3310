"""``rotator rotate``: renews the tokens that are due, here or in the deployed function."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext

import click
from rich.console import Console
from rich.text import Text

from rotator import bootstrap
from rotator.adapters.operator import lambda_invoke
from rotator.cli import wiring
from rotator.cli.console import Message, grouped, plain_table, standard_output
from rotator.cli.options import FAILED, json_option, names_argument, print_json
from rotator.cli.progress import showing
from rotator.errors import RotatorError
from rotator.renewal.durations import format_time
from rotator.renewal.models import Outcome, Result, Summary
from rotator.renewal.policy import outlook

_COLOURS = {Outcome.KEPT: "yellow", Outcome.BUSY: "yellow", Outcome.FAILED: "red"}


@click.command("rotate")
@names_argument
@click.option("--force", is_flag=True, help="Also renew fresh tokens.")
@click.option("--dry-run", is_flag=True, help="Report what would be done; change nothing.")
@click.option("--progress", is_flag=True, help="Show progress on standard error.")
@click.option(
    "--function", metavar="NAME", help="Invoke the deployed function of this name in place of a local run."
)
@json_option
def command(
    names: tuple[str, ...], *, force: bool, dry_run: bool, progress: bool, function: str | None, as_json: bool
) -> None:
    """Renew the tokens that are due.

    NAME limits the run to these rotations. The exit code is 1 if a rotation fails.
    """
    if function:
        if progress:
            raise click.UsageError("--progress shows a run on this machine; remove it or --function")
        summary = _invoke(function, names, force=force, dry_run=dry_run, as_json=as_json)
    else:
        summary = _run(names, force=force, dry_run=dry_run, progress=progress)
    if as_json:
        print_json(summary.to_dict())
    else:
        print_summary(standard_output(), summary)
    if summary.failed:
        sys.exit(FAILED)


def _invoke(function: str, names: Sequence[str], *, force: bool, dry_run: bool, as_json: bool) -> Summary:
    event = {"force": force, "dry_run": dry_run, **({"rotations": list(names)} if names else {})}
    try:
        return Summary.from_dict(lambda_invoke.invoke(function, event))
    except RotatorError as error:
        if as_json:
            print_json({"error": str(error)})
        raise


def _run(names: Sequence[str], *, force: bool, dry_run: bool, progress: bool) -> Summary:
    rotator = wiring.rotator(os.environ)
    fleet = rotator.fleet(names)
    rotator.settings.check_overlap(fleet.rotations)
    count = len(fleet.rotations) + len(fleet.broken)
    with showing(count, Console(stderr=True)) if progress else nullcontext() as on_result:
        run = bootstrap.begin_run("cli")
        return rotator.run_fleet(fleet, run, force=force, dry_run=dry_run, on_result=on_result)


def print_summary(console: Console, summary: Summary) -> None:
    """Print a run's outcomes as a table, failures first; then reasons, warnings and totals."""
    results = sorted(summary.results, key=lambda result: (not result.error, not result.late, result.name))
    rows = [_row(result, dry_run=summary.dry_run) for result in results]
    console.print(plain_table(("rotation", "outcome", "expires at (UTC)", "version"), rows))
    messages = (
        Message(
            rotation=result.name,
            text=result.error or result.reason or "",
            reason=(result.error_kind, result.advice) if result.advice else (result.error, result.reason),
            outlook=outlook(result) if result.error else "",
            seconds_remaining=result.seconds_remaining,
        )
        for result in results
        if result.error or result.reason
    )
    for text in grouped(messages, summary.warnings):
        console.print(text, soft_wrap=True)
    if len(results) != 1:
        console.print(Text(_totals(summary), style="bold"), soft_wrap=True)


def _row(result: Result, *, dry_run: bool) -> list[str | Text]:
    outcome = Text(result.outcome.value, style=_COLOURS.get(result.outcome, "green"))
    if result.error and not result.late:
        outcome = Text("failed early", style="yellow")
    if dry_run and result.outcome is Outcome.ROTATED:
        outcome = Text("would be rotated", style="yellow")
    expires_at = format_time(result.expires_at) if result.expires_at else "-"
    return [result.name, outcome, expires_at, str(result.parameter_version or "-")]


def _totals(summary: Summary) -> str:
    """Return the number of rotations by outcome, as a line."""
    counted = Counter(result.outcome for result in summary.results)
    words = {Outcome.ROTATED: "would be rotated"} if summary.dry_run else {}
    counts = ", ".join(f"{counted[each]:,} {words.get(each, each)}" for each in Outcome if counted[each])
    early = counted[Outcome.FAILED] - summary.failed_late
    return f"{len(summary.results):,} rotations: {counts}" + (f" ({early:,} of them early)" if early else "")

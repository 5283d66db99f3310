"""``rotator rotate``: renews the tokens that are due, here or in the deployed function."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from threading import Lock

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from rotator import bootstrap
from rotator.adapters.operator import lambda_invoke
from rotator.cli import wiring
from rotator.cli.console import Message, grouped, plain_table, standard_output
from rotator.cli.options import FAILED, json_option, names_argument, print_json
from rotator.errors import RotatorError
from rotator.fleet.run import OnResult
from rotator.renewal.durations import format_time
from rotator.renewal.models import Outcome, Result, Summary
from rotator.renewal.policy import outlook

LINE_INTERVAL_SECONDS = 10.0
"""Seconds from one line of --progress to the next where no bar can be drawn."""

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
    rotator = wiring.rotator()
    fleet = rotator.fleet(names)
    rotator.settings.check_overlap(fleet.rotations)
    count = len(fleet.rotations) + len(fleet.broken)
    with showing(count, Console(stderr=True)) if progress else nullcontext() as on_result:
        run = bootstrap.begin_run("cli")
        return rotator.run_fleet(fleet, run, force=force, dry_run=dry_run, on_result=on_result)


@contextmanager
def showing(
    total: int, console: Console, *, clock: Callable[[], float] = time.monotonic
) -> Iterator[OnResult]:
    """Yield a function that any thread calls with each result; it shows how many of ``total`` are done.

    A terminal has a bar, which disappears at the end. A log gets a line every 10 seconds.
    """
    lock, counts, printed_at = Lock(), Counter[Outcome](), clock()
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    bar = Progress(*columns, console=console, transient=True) if console.is_interactive else None
    if bar:
        bar.add_task("", total=total)

    def show(result: Result) -> None:
        nonlocal printed_at
        with lock:
            counts[result.outcome] += 1
            counted = ", ".join(f"{counts[each]:,} {each}" for each in Outcome if counts[each])
            if bar:
                bar.update(bar.task_ids[0], advance=1, description=counted)
            elif clock() - printed_at >= LINE_INTERVAL_SECONDS:
                printed_at = clock()
                console.print(f"{counts.total():,} of {total:,}: {counted}", soft_wrap=True, highlight=False)

    with bar or nullcontext():
        yield show


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

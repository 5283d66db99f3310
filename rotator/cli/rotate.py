"""``rotator rotate``: renews the tokens that are due, here or in the deployed function."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import click
from rich.console import Console

from rotator import bootstrap
from rotator.cli import tables, wiring
from rotator.cli.console import standard_output
from rotator.cli.options import FAILED, json_option, names_argument, print_json
from rotator.errors import RotatorError
from rotator.fleet.run import OnResult
from rotator.renewal.models import Summary


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
        tables.print_summary(standard_output(), summary)
    if summary.failed:
        sys.exit(FAILED)


def _invoke(function: str, names: Sequence[str], *, force: bool, dry_run: bool, as_json: bool) -> Summary:
    event = {"force": force, "dry_run": dry_run, **({"rotations": list(names)} if names else {})}
    try:
        return wiring.invoke_function(function, event)
    except RotatorError as error:
        if as_json:
            print_json({"error": str(error)})
        raise


def _run(names: Sequence[str], *, force: bool, dry_run: bool, progress: bool) -> Summary:
    rotator = wiring.rotator(os.environ)
    fleet = rotator.fleet(names)
    rotator.check_overlap(fleet)
    showing: AbstractContextManager[OnResult | None] = nullcontext()
    if progress:
        from rotator.cli.progress import showing as bar

        showing = bar(len(fleet.rotations) + len(fleet.broken), Console(stderr=True))
    with showing as on_result:
        run = bootstrap.begin_run("cli")
        return rotator.run_fleet(fleet, run, force=force, dry_run=dry_run, on_result=on_result)

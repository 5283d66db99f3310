"""The command line: what an operator runs, ``rotator rotate`` before all, and what people who read run.

Exit codes: 0 all well, 1 a rotation failed or there is no token, 2 settings or usage. ``rotator exec``
has its command's.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from typing import Any, NoReturn

import click
from rich.console import Console

from rotator import __version__, bootstrap
from rotator.cli import operator, stack_option, tables
from rotator.cli.console import standard_output
from rotator.errors import CommandNotRun, RotatorError, SettingsError
from rotator.fleet.run import OnResult
from rotator.renewal.models import Summary

FAILED = 1
USAGE = 2


_COMMANDS = {
    "add": "rotator.cli.add",
    "doctor": "rotator.cli.doctor",
    "exec": "rotator.cli.exec",
    "list": "rotator.cli.list",
    "remove": "rotator.cli.remove",
    "simulate": "rotator.cli.simulate",
    "status": "rotator.cli.status",
    "token": "rotator.cli.token",
}


class _Commands(click.Group):
    """Turns every error of ours into its message and exit code; nobody sees a traceback.

    What stands in other modules is imported only by those who run it.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), *_COMMANDS])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in _COMMANDS:
            command: click.Command = import_module(_COMMANDS[cmd_name]).command
            return command
        return super().get_command(ctx, cmd_name)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except SettingsError as error:
            _quit(error, USAGE)
        except CommandNotRun as error:
            _quit(error, error.code)
        except RotatorError as error:
            _quit(error, FAILED)


def _quit(error: RotatorError, code: int) -> NoReturn:
    click.echo(f"rotator: {error}", err=True)
    sys.exit(code)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="rotator")
def main() -> None:
    """Keep an OAuth 2.0 access token in SSM Parameter Store good.

    Settings come from ROTATOR_* variables, AWS access from the SDK's own. status, list, add, remove,
    doctor, token and exec also take the settings of a deployed stack: --stack.
    """


_names = click.argument("names", nargs=-1, metavar="[NAME]...")
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")


@main.command()
@_names
@click.option("--force", is_flag=True, help="Renew fresh tokens too.")
@click.option("--dry-run", is_flag=True, help="Tell what would be done; change nothing.")
@click.option("--progress", is_flag=True, help="Show on standard error how far it is.")
@click.option("--function", metavar="NAME", help="Let the deployed function do it.")
@_json
def rotate(
    names: tuple[str, ...], *, force: bool, dry_run: bool, progress: bool, function: str | None, as_json: bool
) -> None:
    """Renew the tokens that are due, of all rotations or of those named."""
    if function:
        if progress:
            raise click.UsageError("--progress is for runs of this machine, not for --function")
        summary = _invoke(function, names, force=force, dry_run=dry_run, as_json=as_json)
    else:
        summary = _run(names, force=force, dry_run=dry_run, progress=progress)
    if as_json:
        click.echo(json.dumps(summary.to_dict(), indent=2))
    else:
        tables.print_summary(standard_output(), summary)
    if summary.failed:
        sys.exit(FAILED)


def _invoke(function: str, names: Sequence[str], *, force: bool, dry_run: bool, as_json: bool) -> Summary:
    event = {"force": force, "dry_run": dry_run, **({"rotations": list(names)} if names else {})}
    try:
        return operator.invoke_function(function, event)
    except RotatorError as error:
        if as_json:
            click.echo(json.dumps({"error": str(error)}, indent=2))
        raise


def _run(names: Sequence[str], *, force: bool, dry_run: bool, progress: bool) -> Summary:
    rotator = stack_option.rotator(os.environ)
    fleet = rotator.fleet(names)
    rotator.check_overlap(fleet)
    showing: AbstractContextManager[OnResult | None] = nullcontext()
    if progress:
        from rotator.cli.progress import showing as bar

        showing = bar(len(fleet.rotations) + len(fleet.broken), Console(stderr=True))
    with showing as on_result:
        run = bootstrap.begin_run("cli")
        return rotator.run_fleet(fleet, run, force=force, dry_run=dry_run, on_result=on_result)


@main.command()
@click.option("--keep", is_flag=True, help="Leave it running and print how to use it.")
def demo(*, keep: bool) -> None:
    """See everything work on embedded parts: no AWS account, nothing left behind."""
    try:
        from rotator.devstack.demo import run
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"the demo needs the package {error.name}",
            advice="run `make demo`, or install rotator[local] from a checkout",
        ) from error
    sys.exit(run(keep=keep))

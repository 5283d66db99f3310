"""The command line: what an operator runs, ``rotator rotate`` before all, and what people who read run.

Exit codes: 0 all well, 1 a rotation failed or there is no token, 2 settings or usage. ``rotator exec``
has its command's.
"""

from __future__ import annotations

import json
import os
import sys
from functools import partial
from importlib import import_module
from typing import Any, NoReturn

import click
from rich.console import Console

from rotator import __version__, bootstrap, report, settings, telemetry
from rotator.errors import CommandNotRun, RotatorError, SettingsError

FAILED = 1
USAGE = 2


_ELSEWHERE = {
    "doctor": "rotator.doctor.command",
    "exec": "rotator.commands.exec",
    "simulate": "rotator.simulation.command",
    "token": "rotator.commands.token",
}


class _Commands(click.Group):
    """Turns every error of ours into its message and exit code; nobody sees a traceback.

    What stands in other modules is imported only by those who run it.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), *_ELSEWHERE])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in _ELSEWHERE:
            command: click.Command = import_module(_ELSEWHERE[cmd_name]).command
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

    Settings come from ROTATOR_* variables, AWS access from the SDK's own. status, doctor, token and
    exec also take the settings of a deployed stack: --stack.
    """


_names = click.argument("names", nargs=-1, metavar="[NAME]...")
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")


@main.command()
@_names
@click.option("--force", is_flag=True, help="Renew fresh tokens too.")
@click.option("--dry-run", is_flag=True, help="Tell what would be done; change nothing.")
@click.option("--function", metavar="NAME", help="Let the deployed function do it.")
@_json
def rotate(
    names: tuple[str, ...], *, force: bool, dry_run: bool, function: str | None, as_json: bool
) -> None:
    """Renew the tokens that are due, of all rotations or of those named."""
    if function:
        event = {"force": force, "dry_run": dry_run, **({"rotations": list(names)} if names else {})}
        summary = bootstrap.invoke_function(function, event)
    else:
        rotator = _rotator()
        rotator.check_overlap(rotator.fleet(names))
        summary = rotator.run(bootstrap.begin_run("cli"), names, force=force, dry_run=dry_run)
    if as_json:
        click.echo(json.dumps(summary.to_dict(), indent=2))
    else:
        report.print_summary(Console(), summary)
    if summary.failed:
        sys.exit(FAILED)


@main.command()
@_names
@click.option("--stack", metavar="NAME", help="Take the settings of this stack, not ROTATOR_*.")
@click.option("--watch", is_flag=True, help="Repeat it until Ctrl-C; with --json one document a line.")
@click.option(
    "--every", type=click.IntRange(1, 86_400), metavar="SECONDS", help="How often to --watch; 5 by default."
)
@_json
def status(
    names: tuple[str, ...], *, stack: str | None, watch: bool, every: int | None, as_json: bool
) -> None:
    """Show every stored token's state and the life that consumers can count on."""
    if every and not watch:
        raise click.UsageError("--every is for --watch")
    from rotator.commands import overview

    look = partial(overview.look, _rotator(stack), names)
    if watch:
        from rotator.commands.watch import EVERY, run

        sys.exit(0 if run(look, every=every or EVERY, as_json=as_json) else FAILED)
    found = look(bootstrap.utc_now())
    if as_json:
        click.echo(json.dumps(found.to_dict(), indent=2))
    else:
        report.print_status(Console(), found.lines)
    if not found.good:
        sys.exit(FAILED)


def _rotator(stack: str | None = None) -> bootstrap.Rotator:
    """Read the settings; where there are none at all, point to the demo."""
    try:
        rotator = bootstrap.build(bootstrap.environment(os.environ, stack))
    except SettingsError as error:
        if not stack and settings.nothing_is_set(os.environ):
            advice = f"{error.advice}, or run `make demo` to see it work without AWS"
            raise SettingsError(error.problem, advice=advice) from error
        raise
    telemetry.configure(rotator.settings.log_level)
    return rotator


@main.command()
@click.option("--keep", is_flag=True, help="Leave it running and print how to use it.")
def demo(*, keep: bool) -> None:
    """See everything work on embedded parts: no AWS account, nothing left behind."""
    try:
        from rotator.local.demo import run
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"the demo needs the package {error.name}",
            advice="run `make demo`, or install rotator[local] from a checkout",
        ) from error
    sys.exit(run(keep=keep))

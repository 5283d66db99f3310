"""The command line.

Exit codes: 0 success, 1 a rotation failed or there is no token, 2 settings or usage are invalid. ``rotator
exec`` exits with the code of its command.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any, NoReturn

import click

from rotator import __version__
from rotator.cli.options import FAILED
from rotator.errors import CommandNotRun, RotatorError, SettingsError
from rotator.extras import USAGE

GROUPS: Mapping[str, tuple[str, ...]] = {
    "Renew": ("rotate",),
    "Read": ("status", "list", "token", "exec"),
    "Manage": ("add", "remove"),
    "Diagnose": ("doctor",),
    "Try": ("demo", "simulate"),
}
"""The groups of commands in ``--help``. Each command is ``command`` of the module of its name."""

COMMANDS = tuple(name for names in GROUPS.values() for name in names)


class _Commands(click.Group):
    """Imports only the command that runs, and turns a RotatorError into its message and exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"rotator.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(map(len, COMMANDS))
        for title, names in GROUPS.items():
            commands = ((name, self.get_command(ctx, name)) for name in names)
            with formatter.section(title):
                formatter.write_dl(
                    [
                        (name.ljust(width), command.get_short_help_str(limit=60))
                        for name, command in commands
                        if command
                    ]
                )

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
    click.echo(f"rotator: {error.by_hand()}", err=True)
    sys.exit(code)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="rotator")
def main() -> None:
    """Keep an OAuth 2.0 access token in SSM Parameter Store valid.

    Settings come from ROTATOR_* variables or, with --stack, from a deployed stack. AWS credentials and Region
    come from the usual AWS_* variables and profiles.
    """

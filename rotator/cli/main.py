"""The command line.

Exit codes: 0 success, 1 a rotation failed or there is no token, 2 settings or usage are invalid. ``rotator
exec`` exits with the code of its command.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any

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
        return _load(cmd_name) if cmd_name in COMMANDS else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        width = max(map(len, COMMANDS))
        for title, names in GROUPS.items():
            with formatter.section(title):
                formatter.write_dl(
                    [(name.ljust(width), _load(name).get_short_help_str(limit=60)) for name in names]
                )

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except RotatorError as error:
            click.echo(f"rotator: {error.by_hand()}", err=True)
            code = USAGE if isinstance(error, SettingsError) else FAILED
            sys.exit(error.code if isinstance(error, CommandNotRun) else code)


def _load(name: str) -> click.Command:
    command: click.Command = import_module(f"rotator.cli.{name}").command
    return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="rotator")
def main() -> None:
    """Keep an OAuth 2.0 access token in SSM Parameter Store valid.

    Settings come from ROTATOR_* variables or, with --stack, from a deployed stack. AWS credentials and Region
    come from the usual AWS_* variables and profiles.
    """

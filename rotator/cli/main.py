"""The command line.

Exit codes: 0 all well, 1 a rotation failed or there is no token, 2 settings or usage. ``rotator exec``
has its command's.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any, NoReturn

import click

from rotator import __version__
from rotator.cli.options import FAILED, USAGE
from rotator.errors import CommandNotRun, RotatorError, SettingsError

COMMANDS = ("add", "demo", "doctor", "exec", "list", "remove", "rotate", "simulate", "status", "token")
"""Each is the ``command`` of the module of its name."""


class _Commands(click.Group):
    """Imports only the command that is run, and turns an error of ours into its message and exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"rotator.cli.{cmd_name}").command
        return command

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
    """Keep an OAuth 2.0 access token in SSM Parameter Store valid.

    Settings come from ROTATOR_* variables, AWS access from the SDK's own. status, list, add, remove,
    doctor, token and exec also take the settings of a deployed stack: --stack.
    """

"""``rotator token``: the token alone, for a pipe or a file."""

from __future__ import annotations

import errno
import os

import click

from rotator.commands.source import NAME_HELP, current_token, stack_option
from rotator.errors import RotatorError, SettingsError

STDOUT = 1


@click.command("token", help=f"Print the token alone, for a pipe or a file.\n\n{NAME_HELP}")
@click.argument("name", required=False, metavar="[NAME]")
@stack_option
@click.option("--show", is_flag=True, help="Print it also where standard output is a terminal.")
def command(name: str | None, *, stack: str | None, show: bool) -> None:
    """Print the token; its ``help`` says more."""
    if os.isatty(STDOUT) and not show:
        raise SettingsError(
            "standard output is a terminal, where the token would stay to be read",
            advice="pipe it, run the command that needs it with `rotator exec`, or give --show",
        )
    _write(current_token(name, os.environ, stack))


def _write(token: str) -> None:
    """Write to the descriptor itself: it may be closed or full, and nothing must be left to write at exit."""
    try:
        with open(STDOUT, "wb", closefd=False) as output:
            output.write(f"{token}\n".encode())
    except OSError as error:
        if error.errno == errno.EPIPE:  # whoever read has read enough: click ends quietly
            raise
        problem = f"the token cannot be written to standard output: {os.strerror(error.errno or 0)}"
        raise RotatorError(problem, advice="give it somewhere to go") from None

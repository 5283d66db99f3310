"""``rotator token``: prints the token for a pipe or a file."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

import click

from rotator.cli.options import stack_option
from rotator.cli.token_lookup import NAME_HELP, current_token
from rotator.errors import RotatorError, SettingsError

STDOUT = 1


@click.command("token", help=f"Print the token for a pipe or a file.\n\n{NAME_HELP}")
@click.argument("name", required=False, metavar="[NAME]")
@stack_option
@click.option("--show", is_flag=True, help="Print the token even if standard output is a terminal.")
def command(name: str | None, *, stack: str | None, show: bool) -> None:
    """Print the token; its ``help`` says more."""
    if os.isatty(STDOUT) and not show:
        raise SettingsError(
            "standard output is a terminal, where the token would stay visible",
            advice="pipe it, run the command that needs it with `rotator exec`, or add --show",
        )
    with _not_written_reported():
        # Held before anything is read: a connection would take the place of a closed one.
        output = os.fdopen(os.dup(STDOUT), "wb", buffering=0)
    with output:
        line = f"{current_token(name, stack)}\n".encode()
        # Output may be full or closed, and nothing must be left to write at exit.
        with _not_written_reported():
            output.write(line)


@contextmanager
def _not_written_reported() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno == errno.EPIPE:  # the reader has read enough: click ends quietly
            raise
        problem = f"the token cannot be written to standard output: {os.strerror(error.errno or 0)}"
        raise RotatorError(problem, advice="give a pipe or a file that can be written") from None

"""``rotator exec``: runs a command with the token in its environment."""

from __future__ import annotations

import os
import re
import sys

import click

from rotator.cli.exec_process import become
from rotator.cli.options import stack_option
from rotator.cli.token_lookup import NAME_HELP, current_token

HELP = f"""
Run CMD with the token in its environment.

{NAME_HELP}

The token is in no argument, and only CMD's user and root can read CMD's environment. CMD replaces this
process: it gets the signals and the terminal, and its exit code is returned. The exit code is 127 if CMD is
not found, 126 if it cannot be run.

Use single quotes, so that CMD's shell inserts the token and curl does not get it as an argument:

\b
  rotator exec -- sh -c 'printf "Authorization: Bearer %s" "$TOKEN" | curl -s -H @- URL'

The variable is never updated. A program that runs for longer than a token's lifetime uses
rotator.consumer instead.
"""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")  # POSIX.1-2017, XBD 3.235

_TAKEN = re.compile(
    r"(AWS_|ROTATOR_|BOTO_|LD_|DYLD_|LC_|PYTHON).*"
    r"|PATH|HOME|PWD|SHELL|IFS|ENV|BASH_ENV|LANG|TERM|TMPDIR|TZ|USER|LOGNAME|.*_PROXY",
    re.IGNORECASE,
)
"""Variables of the SDK and of rotator, and those that decide which program runs and how (XBD 8.3)."""


class _Dashed(click.Command):
    """A command whose own arguments stop at the first ``--``; the rest is ``ctx.obj``, unchanged."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if "--" in args:
            dashes = args.index("--")
            args, ctx.obj = args[:dashes], args[dashes + 1 :]
        if not ctx.obj and not {*args} & {*ctx.help_option_names}:
            raise click.UsageError("no command is given; write it after two dashes: -- CMD ARG...", ctx)
        return super().parse_args(ctx, args)


def _variable(_ctx: click.Context, _param: click.Parameter, name: str) -> str:
    if not _NAME.fullmatch(name):
        raise click.BadParameter("it must be letters, digits and _, and must not begin with a digit")
    if _TAKEN.fullmatch(name):
        raise click.BadParameter(f"{name} has a meaning already; choose another, such as TOKEN")
    return name


@click.command("exec", cls=_Dashed, help=HELP)
@click.argument("name", required=False, metavar="[NAME] -- CMD [ARG]...")
@stack_option
@click.option(
    "--env",
    "variable",
    metavar="VAR",
    default="TOKEN",
    show_default=True,
    callback=_variable,
    help="Environment variable for the token.",
)
@click.pass_obj
def command(words: list[str], name: str | None, *, stack: str | None, variable: str) -> None:
    """Run the command; ``HELP`` has the details."""
    token = current_token(name, os.environ, stack)
    sys.exit(become(words, {**os.environ, variable: token}))

"""``rotator exec``: replaces this process by a command with the token in its environment."""

from __future__ import annotations

import errno
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence

import click

from rotator.cli.options import stack_option
from rotator.cli.token_lookup import NAME_HELP, current_token
from rotator.errors import CommandNotRun

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

_TAKEN = re.compile(
    r"(AWS_|ROTATOR_|BOTO_|LD_|DYLD_|LC_|PYTHON).*"
    r"|PATH|HOME|PWD|SHELL|IFS|ENV|BASH_ENV|LANG|TERM|TMPDIR|TZ|USER|LOGNAME|.*_PROXY",
    re.IGNORECASE,
)
"""Variables of the SDK and of rotator, and those that decide which program runs and how (XBD 8.3)."""

_REASONS = {
    errno.EACCES: ("permission denied", "make it executable, or run it with its interpreter"),
    errno.ENOEXEC: (
        "it is neither a program nor begins with #!",
        "begin it with #!/bin/sh, or run it with sh",
    ),
    errno.ENOENT: ("the interpreter in its first line does not exist", "correct that line"),
    errno.E2BIG: ("its arguments and environment are too long", "pass less, for example in a file"),
}


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
    if not (name.isascii() and name.isidentifier()):  # POSIX.1-2017, XBD 3.235
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
    token = current_token(name, stack)
    sys.exit(become(words, {**os.environ, variable: token}))


def become(command: Sequence[str], environ: Mapping[str, str]) -> int:
    """Replace this process by the command, which is searched in PATH; this function then does not return.

    On Windows, which cannot replace a process, the command runs as a child, and its exit code is returned.
    Raises CommandNotRun with the exit code of a shell.
    """
    try:
        if not command[0]:
            raise FileNotFoundError(errno.ENOENT, "no name")
        if os.name == "nt":
            return subprocess.run(command, env=environ, check=False).returncode
        # Python ignores these, and ignored signals stay ignored in what is executed (POSIX, XSH exec).
        for ignored in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(ignored, signal.SIG_DFL)
        for stream in filter(None, (sys.stdout, sys.stderr)):
            stream.flush()
        os.execvpe(command[0], list(command), environ)  # noqa: S606 - without a shell is the point
    except OSError as error:
        raise _not_run(command[0], error, environ) from error


def _not_run(command: str, error: OSError, environ: Mapping[str, str]) -> CommandNotRun:
    """Return the error, with the code 127 if the command does not exist, 126 otherwise (POSIX, XCU 2.8.2)."""
    shown, code = repr(command[:64]), error.errno or 0
    if code in (errno.ENOENT, errno.ENOTDIR) and not shutil.which(command, path=environ.get("PATH")):
        return CommandNotRun(f"there is no command {shown}", advice="check its name and PATH", code=127)
    reason, advice = _REASONS.get(code, (os.strerror(code), "fix the cause, then try again"))
    if os.path.isdir(command):  # noqa: PTH112 - Path's raises for names that are too long
        reason, advice = "it is a directory", "name a program"
    return CommandNotRun(f"the command {shown} cannot be run: {reason}", advice=advice, code=126)

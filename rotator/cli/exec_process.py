"""Replaces this process by another program, as ``exec`` does in a shell."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence

from rotator.errors import CommandNotRun

IGNORED_BY_PYTHON = ("SIGPIPE", "SIGXFZ", "SIGXFSZ")
"""Ignored signals stay ignored in what is executed (POSIX, XSH exec), which no program expects.

The same three that subprocess restores: https://docs.python.org/3/library/subprocess.html (restore_signals).
"""


def become(command: Sequence[str], environ: Mapping[str, str]) -> int:
    """Replace this process by the command, which is searched in PATH; this function then does not return.

    On Windows, which cannot replace a process, the command runs as a child, and its exit code is returned.
    Raises CommandNotRun with the exit code of a shell.
    """
    try:
        if not command[0]:
            raise FileNotFoundError(errno.ENOENT, "no name")
        if os.name == "nt":
            return run(command, environ)
        for name in IGNORED_BY_PYTHON:
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), signal.SIG_DFL)
        for stream in filter(None, (sys.stdout, sys.stderr)):
            stream.flush()
        os.execvpe(command[0], list(command), environ)  # noqa: S606 - without a shell is the point
    except OSError as error:
        problem = error
    raise _not_run(command[0], problem, environ)


def run(command: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run the command as a child and return its exit code."""
    return subprocess.run(command, env=environ, check=False).returncode


def _not_run(command: str, error: OSError, environ: Mapping[str, str]) -> CommandNotRun:
    """Return the error, with the code 127 if the command does not exist, 126 otherwise (POSIX, XCU 2.8.2)."""
    shown = repr(command[:64])
    if error.errno in (errno.ENOENT, errno.ENOTDIR) and not _exists(command, environ):
        return CommandNotRun(f"there is no command {shown}", advice="check its name and PATH", code=127)
    reason, advice = _reason(command, error)
    return CommandNotRun(f"the command {shown} cannot be run: {reason}", advice=advice, code=126)


def _exists(command: str, environ: Mapping[str, str]) -> bool:
    return shutil.which(command, path=environ.get("PATH")) is not None


def _reason(command: str, error: OSError) -> tuple[str, str]:
    if os.path.isdir(command):  # noqa: PTH112 - Path's raises for names that are too long
        return "it is a directory", "name a program"
    return {
        errno.EACCES: ("permission denied", "make it executable, or run it with its interpreter"),
        errno.ENOEXEC: (
            "it is neither a program nor begins with #!",
            "begin it with #!/bin/sh, or run it with sh",
        ),
        errno.ENOENT: ("the interpreter in its first line does not exist", "correct that line"),
        errno.E2BIG: ("its arguments and environment are too long", "pass less, for example in a file"),
    }.get(error.errno or 0, (os.strerror(error.errno or 0), "fix the cause, then try again"))

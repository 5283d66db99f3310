"""The common part of the operator's commands: one line for a problem and the next step, and an exit code."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path


class Problem(Exception):
    """A failed command: what happened and what to do next.

    Exit code 2 means that nothing was changed, because a value is missing or wrong. Exit code 1 means that
    the operation was started and failed.
    """

    def __init__(self, what: str, next_step: str, *, exit_code: int = 2) -> None:
        super().__init__(f"{what}; {next_step}")
        self.exit_code = exit_code


def run(name: str, body: Callable[[], int | None]) -> int:
    """Run a command's body and return its exit code; print a problem in one line."""
    try:
        return body() or 0
    except Problem as problem:
        print(f"{name}: {problem}", file=sys.stderr)
        return problem.exit_code
    except KeyboardInterrupt:
        print(f"{name}: interrupted; check the state of the stack before you try again", file=sys.stderr)
        return 130  # a shell's exit code for SIGINT


def tool(
    command: list[str], failure: str, environ: Mapping[str, str] = os.environ, *, cwd: Path | None = None
) -> str:
    """Run a command and return its output; raises Problem with the end of what it printed if it fails."""
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, cwd=cwd)
    if done.returncode:
        raise Problem(failure, f"fix this error:\n{(done.stdout + done.stderr)[-2000:]}", exit_code=1)
    return str(done.stdout)


def without_variables(beginning: str) -> dict[str, str]:
    """Return the environment without the variables whose names begin so: they change a tool's output."""
    return {name: value for name, value in os.environ.items() if not name.startswith(beginning)}

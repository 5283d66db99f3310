"""The common part of the operator's commands: one line for a problem and the next step, and an exit code."""

from __future__ import annotations

import sys
from collections.abc import Callable

INTERRUPTED = 130
"""The exit code of shells for SIGINT."""


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
        return INTERRUPTED

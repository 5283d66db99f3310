"""What an operator's commands share: one line for what is wrong and what to do next, and an exit code."""

from __future__ import annotations

import sys
from collections.abc import Callable

INTERRUPTED = 130
"""What shells give for SIGINT."""


class Problem(Exception):
    """A command ends here.

    Exit code 2 says that nothing was changed: something is missing or wrong. 1 says that it was tried.
    """

    def __init__(self, what: str, next_step: str, *, exit_code: int = 2) -> None:
        super().__init__(f"{what}; {next_step}")
        self.exit_code = exit_code


def run(name: str, body: Callable[[], None]) -> int:
    """Run a command's body; returns the exit code, and says in one line what stopped it."""
    try:
        body()
    except Problem as problem:
        print(f"{name}: {problem}", file=sys.stderr)
        return problem.exit_code
    except KeyboardInterrupt:
        print(f"{name}: interrupted; look at the stack before you try again", file=sys.stderr)
        return INTERRUPTED
    return 0

"""``make smoke``: verify in a real account the behaviour that no emulator enforces.

It never changes the stack's token. It creates resources of its own, with parameters below /rotator-smoke/,
and removes them when it finishes, also after a crash. It takes about seven and a half minutes, costs less
than a cent (for one advanced parameter) and prints no value.
"""

from __future__ import annotations

import argparse
import re
import signal
import sys
from collections.abc import Collection, Sequence

from botocore.exceptions import BotoCoreError, ClientError

from infra.command import Problem, run
from infra.smoke import change_events, deployed_stack, parameters, roles
from infra.smoke.fixtures import Check, Different, Ground, NotHere, cleaned, code_of, find_ground

CHECKS = [
    each
    for module in (parameters, roles, deployed_stack, change_events)
    for each in vars(module).values()
    if isinstance(each, Check)
]
"""The checks of each module, in its order. infra/docs/verification.md has the same list."""

_EXAMPLE = "make smoke ACCOUNT=123456789012 STACK=rotator"


def smoke(account: str, stack_name: str, skipped: Collection[str]) -> int:
    """Make every check and print a line for each; return how many found an unexpected behaviour."""
    if not account:
        raise Problem("--account is missing", f"set ACCOUNT to the account to check: {_EXAMPLE}")
    if not re.fullmatch(r"[0-9]{12}", account):
        raise Problem("--account is not an account id", "write its 12 digits")
    if not stack_name:
        raise Problem("--stack is missing", f"set STACK to a deployed stack: {_EXAMPLE}")
    if unknown := set(skipped) - {check.id for check in CHECKS}:
        raise Problem(
            f"--skip names unknown checks: {' '.join(sorted(unknown))}", "see infra/docs/verification.md"
        )
    with cleaned(find_ground(account, stack_name)) as ground:
        print(f"the names of all created resources contain {ground.run_id}", flush=True)
        return sum(not _holds(check, ground) for check in CHECKS if check.id not in skipped)


def _holds(check: Check, ground: Ground) -> bool:
    """Make a check, print the expected and the found behaviour, and return whether they agree."""
    mark, holds = "✓", True
    try:
        found = check(ground)
    except NotHere as reason:
        mark, found = "-", str(reason)
    except (Different, ClientError, BotoCoreError) as error:
        mark, holds = "✗", False
        found = str(error) if isinstance(error, Different) else code_of(error)
    print(f"{mark} {check.id}: {check.expected}; found: {found}", flush=True)
    return holds


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit code: 0 all as expected, 1 an unexpected behaviour, 2 the checks did not start."""
    parser = argparse.ArgumentParser(prog="smoke", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--account", default="", help="the 12-digit id of the account to check")
    parser.add_argument("--stack", default="", help="the name of a deployed stack in this account")
    parser.add_argument("--skip", default="", help="ids of checks to skip, separated by commas")
    given = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the created resources are removed
    skipped = set(filter(None, given.skip.split(",")))
    return run("smoke", lambda: min(1, smoke(given.account.strip(), given.stack.strip(), skipped)))


if __name__ == "__main__":
    sys.exit(main())

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
from types import FrameType
from typing import NoReturn

from botocore.exceptions import BotoCoreError, ClientError

from infra import smoke_changes, smoke_fleet, smoke_parameters, smoke_roles, smoke_stack
from infra.command import Problem, run
from infra.smoke_fixtures import Check, Different, Ground, NotHere, cleaned, code_of, find_ground

CHECKS = (
    smoke_parameters.sizes,
    smoke_parameters.tier,
    smoke_parameters.name_length,
    smoke_parameters.type_change,
    smoke_parameters.too_many_updates,
    smoke_parameters.create_once,
    smoke_parameters.earlier_versions,
    smoke_parameters.labels,
    smoke_parameters.path_pages,
    smoke_parameters.kms_errors,
    smoke_roles.kms_condition,
    smoke_roles.secret_denied,
    smoke_roles.rotations_path,
    smoke_fleet.workers,
    smoke_roles.failed_runs,
    smoke_roles.consumer_policy,
    smoke_stack.scheduler_role,
    smoke_stack.allowed_pattern,
    smoke_stack.alarms,
    smoke_stack.alarm_actions,
    smoke_stack.alarm_subscription,
    smoke_stack.missing_data,
    smoke_stack.logs_json,
    smoke_changes.change_events,
    smoke_changes.redeploy_role,
)
"""The checks. infra/docs/verification.md has the same list."""

_EXAMPLE = "make smoke ACCOUNT=123456789012 STACK=rotator"


def smoke(account: str, stack: str, skipped: Collection[str]) -> int:
    """Make every check and print a line for each; return how many found an unexpected behaviour.

    Raises:
        Problem: The account is not the caller's, or the stack is not in it.
    """
    if not account:
        raise Problem("--account is missing", f"set ACCOUNT to the account to check: {_EXAMPLE}")
    if not re.fullmatch(r"[0-9]{12}", account):
        raise Problem("--account is not an account id", "write its 12 digits")
    if not stack:
        raise Problem("--stack is missing", f"set STACK to a deployed stack: {_EXAMPLE}")
    if unknown := set(skipped) - {check.id for check in CHECKS}:
        raise Problem(
            f"--skip names unknown checks: {' '.join(sorted(unknown))}", "see infra/docs/verification.md"
        )
    with cleaned(find_ground(account, stack)) as ground:
        print(f"the names of all created resources contain {ground.scratch.rpartition('-')[2]}", flush=True)
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


def _interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit code: 0 all as expected, 1 an unexpected behaviour, 2 the checks did not start."""
    parser = argparse.ArgumentParser(prog="smoke", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--account", default="", help="the 12-digit id of the account to check")
    parser.add_argument("--stack", default="", help="the name of a deployed stack in this account")
    parser.add_argument("--skip", default="", help="ids of checks to skip, separated by commas")
    given = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, _interrupt)  # so that the created resources are removed
    skipped = set(filter(None, given.skip.split(",")))
    return run("smoke", lambda: min(1, smoke(given.account.strip(), given.stack.strip(), skipped)))


if __name__ == "__main__":
    sys.exit(main())

"""``make smoke``: verify in a real account what no emulator enforces, and nothing else.

It never touches the stack's token: what it writes has names of its own below /rotator-smoke/, and is removed
at its end, also after a crash. It costs less than a cent, for one advanced parameter, takes about seven
minutes and prints no value.
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
"""The list "not verified against AWS"; infra/docs/verification.md has the same."""

_EXAMPLE = "make smoke ACCOUNT=123456789012 STACK=rotator"


def smoke(account: str, stack: str, skipped: Collection[str]) -> int:
    """Make every check and print a line for each; return how many found something else.

    Raises:
        Problem: The account is not the caller's, or the stack is not in it.
    """
    if not account:
        raise Problem("--account is missing", f"name the account you mean: {_EXAMPLE}")
    if not re.fullmatch(r"[0-9]{12}", account):
        raise Problem("--account is no account's number", "give its 12 digits")
    if not stack:
        raise Problem("--stack is missing", f"name a deployed stack: {_EXAMPLE}")
    if unknown := set(skipped) - {check.id for check in CHECKS}:
        raise Problem(f"there is no check {' '.join(sorted(unknown))}", "see CHECKS in infra/smoke.py")
    with cleaned(find_ground(account, stack)) as ground:
        print(f"everything that is created has {ground.scratch.rpartition('-')[2]} in its name", flush=True)
        return sum(not _holds(check, ground) for check in CHECKS if check.id not in skipped)


def _holds(check: Check, ground: Ground) -> bool:
    """Make a check, print what was expected and found, and return whether nothing else was found."""
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
    """Run from the command line: 0 all as expected, 1 something else was found, 2 it did not start."""
    parser = argparse.ArgumentParser(prog="smoke", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--account", default="", help="the 12 digits of the account you mean")
    parser.add_argument("--stack", default="", help="a stack deployed in it")
    parser.add_argument("--skip", default="", help="ids of checks to leave out, with commas between")
    given = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, _interrupt)  # or nothing would be removed
    skipped = set(filter(None, given.skip.split(",")))
    return run("smoke", lambda: min(1, smoke(given.account.strip(), given.stack.strip(), skipped)))


if __name__ == "__main__":
    sys.exit(main())

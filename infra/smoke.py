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
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import NoReturn

from botocore.exceptions import BotoCoreError, ClientError

from infra import smoke_changes, smoke_fleet, smoke_parameters, smoke_roles, smoke_stack
from infra.command import Problem, run
from infra.smoke_ground import Different, Ground, NotHere, cleaned, code_of, find_ground


@dataclass(frozen=True)
class Check:
    """One thing that is not verified by the tests: its id, what AWS is expected to do, and how to see it."""

    id: str
    expected: str
    look: Callable[[Ground], str]


CHECKS = (
    Check(
        "sizes",
        "a value of 4,097 bytes in a Standard parameter, or 8,193 in an Advanced one, is refused",
        smoke_parameters.sizes,
    ),
    Check("tier", "Intelligent-Tiering takes 4,097 bytes and becomes Advanced", smoke_parameters.tier),
    Check(
        "type-change", "writing a String over a SecureString never makes it one", smoke_parameters.type_change
    ),
    Check(
        "too-many-updates",
        "two writes at once get successive versions or TooManyUpdates, never one version twice",
        smoke_parameters.too_many_updates,
    ),
    Check(
        "create-once",
        "creating a parameter that exists is refused as ParameterAlreadyExists",
        smoke_parameters.create_once,
    ),
    Check(
        "earlier-versions",
        "a version that was overwritten is read by its number, and the role may read and write the lease",
        smoke_parameters.earlier_versions,
    ),
    Check(
        "labels",
        "a label on the oldest of 100 versions blocks the next one: ParameterMaxVersionLimitExceeded",
        smoke_parameters.labels,
    ),
    Check("kms-errors", "a key that does not exist is refused as InvalidKeyId", smoke_parameters.kms_errors),
    Check(
        "kms-condition",
        "the function's role may use the key for its own token, by way of Parameter Store alone",
        smoke_roles.kms_condition,
    ),
    Check("secret-denied", "the function's role may read its secret and no other", smoke_roles.secret_denied),
    Check(
        "rotations-path",
        "the function's role may read the documents of many rotations, and write none",
        smoke_roles.rotations_path,
    ),
    Check(
        "workers",
        "Lambda takes as much work at once as Workers says, failures are kept, the role may send work",
        smoke_fleet.workers,
    ),
    Check(
        "failed-runs",
        "Lambda may send what it knows of failed runs to the stack's queue and to no other",
        smoke_roles.failed_runs,
    ),
    Check(
        "consumer-policy",
        "the consumers' policy lets them read the token, and neither another one nor write it",
        smoke_roles.consumer_policy,
    ),
    Check(
        "scheduler-role",
        "the schedule's role may invoke this function and no other, and its ticks arrive",
        smoke_stack.scheduler_role,
    ),
    Check(
        "allowed-pattern",
        "CloudFormation takes the template's patterns and refuses a wrong value with a ValidationError",
        smoke_stack.allowed_pattern,
    ),
    Check("alarms", "the alarms exist, the token's is OK and its metric arrives", smoke_stack.alarms),
    Check(
        "alarm-actions",
        "the topic takes what alarms say, also one under a key of the stack's own",
        smoke_stack.alarm_actions,
    ),
    Check(
        "missing-data",
        "an alarm on a metric that nobody sends goes off where missing data is breaching",
        smoke_stack.missing_data,
    ),
    Check("logs-json", "the function's newest log line is JSON with a level", smoke_stack.logs_json),
    Check(
        "change-events",
        "a token's write reaches a queue by the stack's rule, its value and the write of its status do not",
        smoke_changes.change_events,
    ),
    Check(
        "redeploy-role",
        "the state machine's role may redeploy its service and no other",
        smoke_changes.redeploy_role,
    ),
)
"""The list "not verified against AWS"; infra/README.md has the same."""


def smoke(account: str, stack: str, skipped: Collection[str]) -> int:
    """Make every check and print a line for each; returns how many found something else.

    Raises Problem without an account that is the caller's, or a stack in it.
    """
    if not account:
        raise Problem(
            "--account is missing", "name the account you mean: make smoke ACCOUNT=123456789012 STACK=rotator"
        )
    if not re.fullmatch(r"[0-9]{12}", account):
        raise Problem("--account is no account's number", "give its 12 digits")
    if not stack:
        raise Problem(
            "--stack is missing", "name a deployed stack: make smoke ACCOUNT=123456789012 STACK=rotator"
        )
    if unknown := set(skipped) - {check.id for check in CHECKS}:
        raise Problem(f"there is no check {' '.join(sorted(unknown))}", "see CHECKS in infra/smoke.py")
    with cleaned(find_ground(account, stack)) as ground:
        print(f"everything that is created has {ground.scratch.rpartition('-')[2]} in its name", flush=True)
        return sum(not _holds(check, ground) for check in CHECKS if check.id not in skipped)


def _holds(check: Check, ground: Ground) -> bool:
    """Make a check and print what was expected and found."""
    mark, holds = "✓", True
    try:
        found = check.look(ground)
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
    crosses = 0

    def body() -> None:
        nonlocal crosses
        crosses = smoke(given.account.strip(), given.stack.strip(), set(filter(None, given.skip.split(","))))

    return run("smoke", body) or min(crosses, 1)


if __name__ == "__main__":
    sys.exit(main())

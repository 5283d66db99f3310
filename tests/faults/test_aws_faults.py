"""Every AWS call of the job against every way in which AWS fails, for once and for good.

The function runs with the real SDK against moto's server, with microburst between them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from faults.proxy import Microburst
from faults.timing import SDK_READ_TIMEOUT, SHORT_SDK_TIMEOUT, shorten_timeouts
from faults.world import DUE, FRESH, HEALTHY, FaultySystem
from rotator.adapters.runtime import aws_client

READ = {"service": "ssm", "operation": "GetParameters"}
WRITE = {"service": "ssm", "operation": "PutParameter"}
CALLS: dict[str, dict[str, Any]] = {
    "check": {**READ, "body": "!contains(Names, '/healthwise/token/lease')"},
    "read": {**READ, "body": "contains(Names, '/healthwise/token/lease')"},
    "lease": {**WRITE, "body": "Type == 'String' && contains(Value, 'read_version')"},
    "secret": {"service": "secretsmanager", "operation": "GetSecretValue"},
    "token": {**WRITE, "body": "Type == 'SecureString'"},
    "status": {**WRITE, "body": "Type == 'String' && contains(Value, 'parameter_version')"},
}
SUBJECTS = {
    "check": "reading the parameters /healthwise/token and /healthwise/token/status failed",
    "read": "reading the parameters /healthwise/token, /healthwise/token/status and "
    "/healthwise/token/lease failed",
    "lease": "writing the parameter /healthwise/token/lease failed",
    "secret": "the secret healthwise/client could not be read",
    "token": "writing the parameter /healthwise/token failed",
    "status": "writing the parameter /healthwise/token/status failed",
}

FAULTS: dict[str, dict[str, Any]] = {
    "throttled": {"error": {"code": "ThrottlingException"}},
    "500": {"error": {"code": "InternalServerError", "status": 500}},
    "reset": {"reset": True},
    "timeout": {"timeout_ms": 3000},
    "denied": {"error": {"code": "AccessDeniedException", "status": 400}},
    "answer lost": {"response": {"abort_frac": 0.5}},  # AWS has done what it was asked to
}
RETRIED = "the next run tries again; if the error persists, "
UNREACHABLE = f"Unreachable; {RETRIED}check the network path to AWS, and AWS_ENDPOINT_URL"
REPORTED = {
    "throttled": f"ThrottlingException; {RETRIED}find out which other callers use up the account's "
    "request rate",
    "500": f"InternalServerError; {RETRIED}check the AWS Health Dashboard",
    "reset": UNREACHABLE,
    "timeout": UNREACHABLE,
    "denied": "AccessDeniedException; allow this caller ",
    "answer lost": UNREACHABLE,
}

# Outcomes; in all but the first and the last the stored token is what it was.
ROTATED = "rotated"
BUSY = "busy"  # the run's own lease was written twice, which looks like another run's
FAILED = "failed"
PUBLISHED = "failed, with a new token stored"

AGES = {"due": DUE, "fresh": FRESH}  # a fresh one is renewed by force

FOR_GOOD = {
    # token, call         throttled  500        reset      timeout    denied     answer lost
    ("none", "lease"):   (FAILED,    FAILED,    FAILED,    FAILED,    FAILED,    FAILED),
    ("none", "token"):   (FAILED,    FAILED,    FAILED,    FAILED,    FAILED,    PUBLISHED),
    ("none", "status"):  (PUBLISHED, PUBLISHED, PUBLISHED, PUBLISHED, PUBLISHED, PUBLISHED),
    ("due", "check"):    (FAILED,    FAILED,    FAILED,    FAILED,    FAILED,    FAILED),
    ("due", "read"):     (FAILED,    FAILED,    FAILED,    FAILED,    FAILED,    FAILED),
    ("due", "lease"):    (FAILED,    FAILED,    FAILED,    FAILED,    FAILED,    FAILED),
    ("due", "secret"):   (FAILED,    FAILED,    FAILED,    FAILED,    FAILED,    FAILED),
    ("due", "token"):    (FAILED,    FAILED,    FAILED,    FAILED,    FAILED,    PUBLISHED),
    ("due", "status"):   (PUBLISHED, PUBLISHED, PUBLISHED, PUBLISHED, PUBLISHED, PUBLISHED),
    ("fresh", "token"):  (FAILED,    FAILED,    FAILED,    FAILED,    FAILED,    PUBLISHED),
    ("fresh", "status"): (FAILED,    FAILED,    FAILED,    FAILED,    FAILED,    FAILED),
}  # fmt: skip
ONCE = {  # the SDK tries again, except where it is denied
    # token, call         throttled  500        reset      timeout    denied     answer lost
    ("due", "check"):    (ROTATED,   ROTATED,   ROTATED,   ROTATED,   FAILED,    ROTATED),
    ("due", "read"):     (ROTATED,   ROTATED,   ROTATED,   ROTATED,   FAILED,    ROTATED),
    ("none", "lease"):   (ROTATED,   ROTATED,   ROTATED,   ROTATED,   FAILED,    BUSY),
    ("due", "lease"):    (ROTATED,   ROTATED,   ROTATED,   ROTATED,   FAILED,    BUSY),
    ("due", "secret"):   (ROTATED,   ROTATED,   ROTATED,   ROTATED,   FAILED,    ROTATED),
    ("due", "token"):    (ROTATED,   ROTATED,   ROTATED,   ROTATED,   FAILED,    ROTATED),
    ("due", "status"):   (ROTATED,   ROTATED,   ROTATED,   ROTATED,   PUBLISHED, ROTATED),
}  # fmt: skip


@dataclass(frozen=True)
class Cell:
    stored: str
    call: str
    fault: str
    lasts: str
    outcome: str

    def __str__(self) -> str:
        return f"{self.stored}-{self.call}-{self.fault}-{self.lasts}"

    @property
    def rule(self) -> dict[str, Any]:
        """Return the settings of microburst."""
        times = {"times": 1} if self.lasts == "once" else {}
        return {**CALLS[self.call], **FAULTS[self.fault], **times}

    @property
    def broken_calls(self) -> int:
        """All of the SDK's attempts, or the first."""
        only_one = self.lasts == "once" or self.fault == "denied"
        return 1 if only_one else int(aws_client.CONFIG.retries["total_max_attempts"])  # type: ignore[attr-defined]


CELLS = [
    Cell(stored, call, fault, lasts, outcome)
    for lasts, table in (("for good", FOR_GOOD), ("once", ONCE))
    for (stored, call), outcomes in table.items()
    for fault, outcome in zip(FAULTS, outcomes, strict=True)
]


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_aws_fault_loses_no_token_and_the_next_run_recovers(
    cell: Cell, world: FaultySystem, faults: Microburst, monkeypatch: pytest.MonkeyPatch
) -> None:
    if cell.stored in AGES:
        world.store_token(AGES[cell.stored])
    if cell.fault == "timeout":
        shorten_timeouts(monkeypatch)
    before = world.tokens()
    faults.break_(cell.rule)

    start = world.rotate if cell.lasts == "once" else world.run_once
    run = start(force=cell.stored == "fresh")

    broken = faults.broken()
    assert broken == cell.broken_calls
    assert run.outcome == cell.outcome.partition(",")[0]
    if run.outcome == "failed":
        assert SUBJECTS[cell.call] in run.error
        assert REPORTED[cell.fault] in run.error
    shortened = (SDK_READ_TIMEOUT - SHORT_SDK_TIMEOUT) * broken if cell.fault == "timeout" else 0
    assert run.time_left > shortened
    published = world.tokens() != before
    assert published == (cell.outcome in {ROTATED, PUBLISHED})

    faults.heal()
    assert world.next_tick().outcome in {"rotated", "fresh"}
    assert world.health() == HEALTHY
    assert world.never_issued() == set()
    assert world.leaked() == []

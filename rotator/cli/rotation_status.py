"""The status of one rotation as `rotator status` shows it, with the next step."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from rotator.errors import RotatorError
from rotator.oauth.models import Stage
from rotator.renewal import policy, secret_rollover
from rotator.renewal.durations import format_time, seconds_until
from rotator.renewal.guarantee import Guarantee
from rotator.renewal.models import Attempt, Outcome, Rotation, Stored
from rotator.renewal.policy import TokenState
from rotator.replication.replica import ReplicaState

UNREADABLE = "unreadable"

_NEXT_STEPS = {
    "expired": "its token has expired: see why the last runs failed, then run `rotator rotate`",
    "unknown": "its status is missing or describes another version; the next run renews it",
    "missing": "it has no token yet: run `rotator rotate`",
}


@dataclass(frozen=True, kw_only=True)
class RotationStatus:
    """One rotation as ``rotator status`` shows it. Times are UTC, durations seconds."""

    name: str
    now: datetime
    rotation: Rotation | None = None
    state: str = UNREADABLE
    stored: Stored = field(default_factory=Stored)
    guaranteed_lifetime: float | None = None
    overlap: str | None = None
    error: RotatorError | None = None
    replicas: tuple[ReplicaState, ...] = ()

    @property
    def is_valid(self) -> bool:
        """Whether consumers have a token that is known to be valid."""
        return self.state in (TokenState.FRESH, TokenState.DUE) and not self._may_be_revoked

    @property
    def _may_be_revoked(self) -> bool:
        return self.rotation is not None and policy.may_be_revoked(self.rotation, self.stored, self.now)

    @property
    def seconds_remaining(self) -> float | None:
        """The token's remaining lifetime, negative once it has expired; None if unknown."""
        status = self.stored.token_status
        return seconds_until(status.expires_at, self.now) if status else None

    @property
    def reason(self) -> str | None:
        """The reason for the state, and the next step if there is one."""
        lease = self.stored.lease
        if lease.held_until:
            return f"a run may renew it until {format_time(lease.held_until)}"
        if self.stored.status_problem:
            return f"its status cannot be read: {self.stored.status_problem}; the next run writes it again"
        if self.stored.lease_error:
            return f"its lease cannot be read: {self.stored.lease_error}"
        attempt = _describe(lease.last_attempt) if lease.last_attempt else None
        after = f"; {attempt}" if attempt else ""
        if self._may_be_revoked:
            reason = "the endpoint may have issued a token that was not stored, and this one may be revoked"
            return f"{reason}{after}; the next run renews it"
        if self.state in _NEXT_STEPS:
            return f"{_NEXT_STEPS[self.state]}{after}"
        return str(self.error) if self.error else self._rollover or attempt

    @property
    def last_outcome(self) -> str:
        """The outcome of the last attempt to renew the token, in a word or two."""
        attempt = self.stored.lease.last_attempt
        if attempt is None:
            return "rotated" if self.stored.token_status else "-"
        return attempt.outcome.value if attempt.outcome else "not finished"

    @property
    def _rollover(self) -> str | None:
        """The next step if the token was requested with another stage than AWSCURRENT."""
        stage = self.stored.token_status.secret_stage if self.stored.token_status else Stage.CURRENT
        if stage is Stage.CURRENT:
            return None
        next_step = f"{secret_rollover.NEXT_STEP[stage]}; then run `rotator rotate --force`"
        return f"its token was requested with {stage}: finish the rollover; {next_step}"

    @property
    def renewal(self) -> datetime | None:
        """When the token becomes due."""
        status = self.stored.token_status
        return policy.due_at(self.rotation, status) if self.rotation and status else None

    def to_dict(self) -> dict[str, Any]:
        """The line as ``--json`` gives it."""
        status, lease, least = self.stored.token_status, self.stored.lease, self.guaranteed_lifetime
        attempt = lease.last_attempt
        line: dict[str, Any] = {
            "name": self.name,
            "state": self.state,
            "parameter_name": self.rotation.parameter_name if self.rotation else None,
            "parameter_version": self.stored.token_version or None,
            "issued_at": format_time(status.issued_at) if status else None,
            "expires_at": format_time(status.expires_at) if status else None,
            "renew_at": format_time(self.renewal) if self.renewal else None,
            "seconds_remaining": int(self.seconds_remaining) if self.seconds_remaining is not None else None,
            "minimum_remaining_life": math.floor(least) if least is not None else None,
            "leased_until": format_time(lease.held_until) if lease.held_until else None,
            "last_attempt": attempt
            and {"at": format_time(attempt.at), "outcome": attempt.outcome, "error_kind": attempt.error_kind},
            "warning": self.overlap,
            "error": str(self.error) if self.error else None,
        }
        if status and status.secret_stage is not Stage.CURRENT:
            line["secret_stage"] = status.secret_stage.value
        if self.replicas:
            line["replicas"] = [_replica_to_dict(replica, self.now) for replica in self.replicas]
        return line


def status_of(
    rotation: Rotation,
    found: Stored | RotatorError,
    now: datetime,
    guarantee: Guarantee,
    replicas: tuple[ReplicaState, ...] = (),
) -> RotationStatus:
    """Return a rotation's status from what is stored for it and in its replicas, or from the read error."""
    status = partial(RotationStatus, name=rotation.name, now=now, rotation=rotation, replicas=replicas)
    if isinstance(found, RotatorError):
        return status(error=found.by_hand())
    lifetime = found.token_status.lifetime if found.token_status else policy.asked_lifetime(rotation)
    least = overlap = None
    if lifetime is not None:
        least = guarantee.guaranteed_lifetime(lifetime, rotation.renew_at)
        overlap = guarantee.problem(lifetime, rotation.renew_at)
    return status(
        state=policy.token_state(rotation, found, now),
        stored=found,
        guaranteed_lifetime=least,
        overlap=str(overlap) if overlap else None,
    )


def _describe(attempt: Attempt) -> str:
    how = "kept the token" if attempt.outcome is Outcome.KEPT else f"failed with {attempt.error_kind}"
    if attempt.outcome is None:
        how = "ended without releasing its lease"
    return f"the last attempt, until {format_time(attempt.at)}, {how}"


def _replica_to_dict(replica: ReplicaState, now: datetime) -> dict[str, Any]:
    seconds = replica.seconds_remaining(now)
    return {
        "region": replica.region,
        "state": replica.state,
        "parameter_version": replica.stored.token_version or None if replica.stored else None,
        "seconds_remaining": int(seconds) if seconds is not None else None,
        "behind": replica.behind,
        "error": str(replica.error) if replica.error else None,
    }

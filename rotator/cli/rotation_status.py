"""The status of one rotation as `rotator status` shows it, with the next step."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rotator.errors import RotatorError
from rotator.oauth.models import Stage
from rotator.renewal import policy, secret_rollover
from rotator.renewal.durations import format_time, seconds_until
from rotator.renewal.guarantee import Guarantee
from rotator.renewal.models import Attempt, Outcome, Rotation, Stored
from rotator.renewal.policy import TokenState
from rotator.replication.replica import ReplicaState

_NEXT_STEPS = {
    "expired": "its token has expired: see why the last runs failed, then run `rotator rotate`",
    "unknown": "its status is missing or describes another version; the next run renews it",
    "missing": "it has no token yet: run `rotator rotate`",
}


@dataclass(frozen=True, kw_only=True)
class RotationStatus:
    """One rotation as ``rotator status`` shows it. Times are UTC, durations seconds."""

    rotation: Rotation | None
    name: str
    state: str
    stored: Stored
    now: datetime
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
        rotation = self.rotation
        return rotation is not None and policy.may_be_revoked(rotation, self.stored, self.now)

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
        if self._may_be_revoked:
            reason = "the endpoint may have issued a token that was not stored, and this one may be revoked"
            return f"{reason}{self._last_attempt}; the next run renews it"
        if self.error:
            return str(self.error)
        return self._reason_of_state or self._rollover

    @property
    def group_key(self) -> tuple[str | None, str | None]:
        """The key by which rotations with the same reason are grouped."""
        return (type(self.error).__name__, self.error.advice) if self.error else (None, self.reason)

    @property
    def _reason_of_state(self) -> str | None:
        attempt = self.stored.lease.last_attempt
        if self.state in _NEXT_STEPS:
            return f"{_NEXT_STEPS[self.state]}{self._last_attempt}"
        return _describe(attempt) if attempt and not self._rollover else None

    @property
    def last_outcome(self) -> str:
        """The outcome of the last attempt to renew the token, in a word or two."""
        attempt = self.stored.lease.last_attempt
        if attempt is None:
            return "rotated" if self.stored.token_status else "-"
        return attempt.outcome.value if attempt.outcome else "not finished"

    @property
    def _last_attempt(self) -> str:
        """The last attempt to renew the token, if it published none."""
        attempt = self.stored.lease.last_attempt
        return f"; {_describe(attempt)}" if attempt else ""

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
        if self.rotation is None or status is None:
            return None
        return policy.due_at(self.rotation, status)

    def to_dict(self) -> dict[str, Any]:
        """The line as ``--json`` gives it."""
        status, lease = self.stored.token_status, self.stored.lease
        line = {
            "name": self.name,
            "state": self.state,
            "parameter_name": self.rotation.parameter_name if self.rotation else None,
            "parameter_version": self.stored.token_version or None,
            "issued_at": format_time(status.issued_at) if status else None,
            "expires_at": format_time(status.expires_at) if status else None,
            "renew_at": format_time(self.renewal) if self.renewal else None,
            "seconds_remaining": int(self.seconds_remaining) if self.seconds_remaining is not None else None,
            "minimum_remaining_life": math.floor(self.guaranteed_lifetime)
            if self.guaranteed_lifetime is not None
            else None,
            "leased_until": format_time(lease.held_until) if lease.held_until else None,
            "last_attempt": _attempt_to_dict(lease.last_attempt) if lease.last_attempt else None,
            "warning": self.overlap,
            "error": str(self.error) if self.error else None,
        }
        if status and status.secret_stage is not Stage.CURRENT:
            line["secret_stage"] = status.secret_stage.value
        return line


def status_of(
    rotation: Rotation,
    found: Stored | RotatorError,
    now: datetime,
    guarantee: Guarantee,
    replicas: tuple[ReplicaState, ...] = (),
) -> RotationStatus:
    """Return a rotation's status from what is stored for it and in its replicas, or from the read error."""
    if isinstance(found, RotatorError):
        return RotationStatus(
            rotation=rotation,
            name=rotation.name,
            state="unreadable",
            stored=Stored(),
            now=now,
            error=found.by_hand(),
            replicas=replicas,
        )
    lifetime = found.token_status.lifetime if found.token_status else policy.asked_lifetime(rotation)
    least = overlap = None
    if lifetime is not None:
        least = guarantee.guaranteed_lifetime(lifetime, rotation.renew_at)
        overlap = guarantee.problem(lifetime, rotation.renew_at)
    return RotationStatus(
        rotation=rotation,
        name=rotation.name,
        state=policy.token_state(rotation, found, now),
        stored=found,
        now=now,
        guaranteed_lifetime=least,
        overlap=str(overlap) if overlap else None,
        replicas=replicas,
    )


def _describe(attempt: Attempt) -> str:
    if attempt.outcome is None:
        how = "ended without releasing its lease"
    elif attempt.outcome is Outcome.KEPT:
        how = "kept the token"
    else:
        how = f"failed with {attempt.error_kind}"
    return f"the last attempt, until {format_time(attempt.at)}, {how}"


def _attempt_to_dict(attempt: Attempt) -> dict[str, Any]:
    return {
        "at": format_time(attempt.at),
        "outcome": attempt.outcome.value if attempt.outcome else None,
        "error_kind": attempt.error_kind,
    }
